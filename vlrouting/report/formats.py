"""A comparison as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from vlrouting.config.fit import spelled
from vlrouting.report.comparison import Comparison, Variant
from vlrouting.report.rows import Row
from vlrouting.report.table import Cell, Grid, grids, notes

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "≥": r"$\geq$", "…": r"\dots{}", "|": r"\textbar{}", "`": r"\textasciigrave{}", "\n": " ",
}  # fmt: skip
LONG_TEXT = 40
"""Characters of a cell that LaTeX may break into lines."""
_LATIN = 0x17F
"""Last letter that LaTeX sets without further packages."""


def to_markdown(comparison: Comparison) -> str:
    """Tables with aligned columns, and what is said below them."""
    tables = "\n".join(map(_markdown_table, grids(comparison)))
    below = "\n".join(f"\n{_markdown(note)}" for note in notes(comparison))
    return f"{tables}{below}\n"


def to_latex(comparison: Comparison) -> str:
    """Tables with booktabs, to be read with \\input."""
    head = "% Needs \\usepackage{booktabs,array,graphicx}. A table that is too wide is made smaller.\n"
    return head + "\n".join(
        _latex_table(grid, notes(comparison) if place == 0 else []) for place, grid in enumerate(grids(comparison))
    )


def to_csv(comparison: Comparison) -> str:
    """One line per variant, in full precision."""
    out = io.StringIO()
    lines = [_flat(comparison, variant) for variant in comparison.variants]
    writer = csv.DictWriter(out, list(dict.fromkeys(key for line in lines for key in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def to_json(comparison: Comparison) -> str:
    """Everything, every run included."""
    tree = {
        **{name: getattr(comparison, name) for name in ("experiments", "metric", "titles", "examples", "clusters")},
        "baselines": [variant.label for variant in comparison.baselines],
        "summary": comparison.summary,
        "missing": comparison.missing,
        "flags": comparison.flags,
        "variants": [_tree(variant) for variant in comparison.variants],
    }
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, tuple[str, Callable[[Comparison], str]]] = {
    "markdown": ("comparison.md", to_markdown),
    "csv": ("comparison.csv", to_csv),
    "json": ("comparison.json", to_json),
    "latex": ("comparison.tex", to_latex),
}
"""Name -> file, and what writes its text."""


def _flat(comparison: Comparison, variant: Variant) -> dict[str, object]:
    """A variant's line of the CSV file."""
    difference = variant.difference
    found: dict[str, object] = {
        "experiment": variant.experiment,
        "variant": variant.name,
        "label": variant.label,
        "seeds": " ".join(str(row.seed) for row in variant.runs),
        "unfinished": len(variant.unfinished),
        "baseline": variant.baseline,
        "difference": difference and difference.mean,
        "difference_low": difference and difference.low,
        "difference_high": difference and difference.high,
        "p_value": difference and difference.p_value,
        "adjusted_p": variant.adjusted_p,
        "minimum_detectable": difference and difference.minimum_detectable,
        "verdict": variant.verdict,
        "tied_with_best": variant.tied_with_best,
        "trainable_parameters": variant.trainable_parameters,
        "seconds": variant.seconds,
        "peak_memory_bytes": variant.peak_memory_bytes,
        "tuned": " ".join(f"{key}={spelled(value)}" for key, value in variant.tuned.items()),
        "at_edge": " ".join(variant.at_edge),
        "control": variant.control,
        "flags": "; ".join(variant.flags),
    }
    for metric in comparison.titles:
        interval = variant.intervals.get(metric)
        found |= {
            metric: variant.mean(metric),
            f"{metric} low": interval and interval.low,
            f"{metric} high": interval and interval.high,
            f"{metric} std": variant.std(metric),
        }
        if metric in comparison.datasets.values():
            judged = variant.on_datasets.get(metric)
            found |= {
                f"{metric} difference": judged and judged.difference.mean,
                f"{metric} difference low": judged and judged.difference.low,
                f"{metric} difference high": judged and judged.difference.high,
                f"{metric} adjusted p": judged and judged.adjusted_p,
            }
    return found


def _tree(variant: Variant) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(variant).items() if name not in ("runs", "unfinished")}
    return {
        **kept,
        "runs": [{**_point(row), "seed": row.seed, "metrics": row.metrics} for row in variant.runs],
        "unfinished": [{**_point(row), "status": row.status, "reason": row.reason} for row in variant.unfinished],
    }


def _point(row: Row) -> dict[str, object]:
    return {"point": row.variant, "folder": str(row.folder)}


def _markdown(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _markdown_table(grid: Grid) -> str:
    def shown(cell: Cell) -> str:
        return f"**{_markdown(cell.text)}**" if cell.best else _markdown(cell.text)

    lines = [[shown(cell) for cell in line] for line in grid.lines]
    header = [_markdown(name) for name in grid.header]
    widths = [max(3, *(len(line[column]) for line in [header, *lines])) for column in range(len(header))]
    left = [name in grid.text_columns for name in grid.header]

    def drawn(cells: list[str]) -> str:
        padded = [c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(cells, widths, left, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if is_left else "-" * (width - 1) + ":" for width, is_left in zip(widths, left, strict=True)]
    return "\n".join([f"**{grid.title}**", "", drawn(header), drawn(rule), *map(drawn, lines)]) + "\n"


def _latex(text: str) -> str:
    """A text that LaTeX sets as it is; a letter that it does not know becomes a question mark."""
    text = "".join(_LATEX.get(letter, letter if ord(letter) <= _LATIN else "?") for letter in text)
    return text.replace("--", "-{}-")  # else a dash


def _latex_table(grid: Grid, below: list[str]) -> str:
    def shown(cell: Cell) -> str:
        return rf"\textbf{{{_latex(cell.text)}}}" if cell.best else _latex(cell.text)

    columns = "".join(_latex_column(grid, column) for column in range(len(grid.header)))
    rows = [" & ".join(map(shown, line)) + r" \\" for line in grid.lines]
    lines = [
        r"\begin{table}[tbp]",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_latex(grid.title)}.}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(_latex_heading(grid, column) for column in range(len(grid.header))) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        *(rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {_latex(note)}}}" for note in below),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_heading(grid: Grid, column: int) -> str:
    """In two lines where the values are narrower."""
    lines = [_latex(line) for line in grid.heading(column)]
    side = "l" if grid.header[column] in grid.text_columns else "r"
    stacked = r" \\ ".join(lines)
    return stacked if len(lines) == 1 else rf"\shortstack[{side}]{{{stacked}}}"


def _latex_column(grid: Grid, column: int) -> str:
    """Right for numbers; texts of many words are broken into lines."""
    if grid.header[column] not in grid.text_columns:
        return "r"
    longest = max(len(line[column].text) for line in grid.lines)
    width = 0.6 if len(grid.header) == 2 else 0.26
    return rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}" if longest > LONG_TEXT else "l"
