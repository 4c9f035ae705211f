"""The tables of a comparison, before they are rendered: on a console, in Markdown, in LaTeX."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from vlrouting.config.fit import spelled
from vlrouting.config.names import counted
from vlrouting.report.comparison import Comparison, Variant
from vlrouting.report.paired import BETTER, NO_DIFFERENCE, WORSE
from vlrouting.statistics import Interval

VARIANT, PARAMETERS, TIME = "variant", "trainable parameters", "training time"
EDGE = "(edge)"
HEADING_LINES = 2
BASELINE = "baseline"


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table before rendering. All columns hold numbers, except `text_columns`."""

    title: str
    header: list[str]
    lines: list[list[Cell]]
    text_columns: frozenset[str] = frozenset({VARIANT, "point", "verdict", "provisional verdict", "tuned", "status"})

    def column_width(self, column: int) -> int:
        """Of the values, of the heading's longest word, or more where the heading would have too many lines."""
        name = self.header[column]
        texts = [part for line in self.lines for part in line[column].text.split("\n")]
        width = max(map(len, [*name.split(), *texts]))
        while len(_wrapped(name, width)) > HEADING_LINES:
            width += 1
        return width

    def heading(self, column: int) -> list[str]:
        """The lines of a heading."""
        return _wrapped(self.header[column], self.column_width(column))


def _wrapped(name: str, width: int) -> list[str]:
    return textwrap.wrap(name, width, break_on_hyphens=False)


def grids(comparison: Comparison) -> list[Grid]:
    """The scores and differences of several datasets; the verdicts; further scores and costs; the points that are not
    complete."""
    tables = [_verdicts(comparison), _costs(comparison)] if comparison.complete else []
    if comparison.complete and comparison.datasets:
        tables[:1] = [_of_datasets(comparison), tables[0], *_differences(comparison)]
    unfinished = [row for variant in comparison.variants for row in variant.unfinished]
    if unfinished:
        several = len(comparison.experiments) > 1
        names = [f"{row.experiment}: {row.variant}" if several else row.variant for row in unfinished]
        lines = [
            [Cell(name), Cell(": ".join(filter(None, (row.status, " ".join(row.reason.split())))))]
            for name, row in zip(names, unfinished, strict=True)
        ]
        tables.append(Grid("Points that are not complete", ["point", "status"], lines))
    return tables


def notes(comparison: Comparison) -> list[str]:
    """What is said below the tables: the scores' meaning, flags, the verdict, and what is missing for it."""
    found = [f"Metric: {comparison.metric_title}"] if comparison.complete else []
    if any(comparison.metric in variant.intervals for variant in comparison.complete):
        found.append(_meaning(comparison))
    found += [f"Note: {flag}" for flag in comparison.flags]
    found.append(comparison.summary)
    if comparison.missing:
        found.append(f"Missing for a verdict: {'; '.join(comparison.missing)}.")
    return found


def _meaning(comparison: Comparison) -> str:
    several = any(len(variant.runs) > 1 for variant in comparison.complete)
    over = f"{counted(comparison.examples, 'test example')} in {counted(comparison.clusters, 'cluster')}"
    if comparison.datasets:
        over += f" of {counted(len(comparison.datasets), 'dataset')}, each of which counts the same in the mean"
    bold = " Bold: no difference to the best is shown at 5%." if _bold(comparison) else ""
    adjusted = " p is Holm's over all differences." if any(v.verdict for v in comparison.variants) else ""
    seeds = "over training seeds and " if several else "for these training runs only, over "
    datasets = (
        " * is a difference on one dataset at 5% (Holm, over all variants and datasets)."
        if any(judged.verdict for variant in comparison.variants for judged in variant.on_datasets.values())
        else ""
    )
    return f"± is the 95% interval {seeds}{over}.{adjusted}{datasets}{bold}"


def _bold(comparison: Comparison) -> bool:
    return any(variant.tied_with_best for variant in comparison.variants)


def _verdicts(comparison: Comparison) -> Grid:
    """Score, difference and verdict of each variant."""
    variants = comparison.complete
    baselines = {variant.label for variant in comparison.baselines}
    columns = [
        (VARIANT, [Cell(variant.label) for variant in variants]),
        ("seeds (std)", [Cell(_seeds(variant, comparison.metric)) for variant in variants]),
        (
            comparison.short_title(comparison.metric),
            [_score(v, comparison.metric, v.tied_with_best) for v in variants],
        ),
    ]
    if any(variant.difference for variant in variants):
        columns.append((_difference_heading(comparison), [Cell(_difference(v, baselines)) for v in variants]))
    if any(variant.adjusted_p is not None for variant in variants):
        columns.append(("p", [Cell(_p_value(variant.adjusted_p)) for variant in variants]))
    if any(variant.difference for variant in variants):
        heading = "provisional verdict" if comparison.missing else "verdict"
        columns.append((heading, [Cell(_verdict(variant)) for variant in variants]))
    return _grid("Comparison", columns)


def _of_datasets(comparison: Comparison) -> Grid:
    """What a paper shows of several datasets: the main metric of each, and the mean."""
    variants = comparison.complete
    columns = [(VARIANT, [Cell(variant.label) for variant in variants])]
    if all(variant.trainable_parameters is not None for variant in variants):
        columns.append(("trained", [Cell(_parameter_share(variant)) for variant in variants]))
    for key in (*comparison.datasets.values(), comparison.metric):
        is_mean = key == comparison.metric
        cells = [_score(variant, key, is_mean and variant.tied_with_best) for variant in variants]
        columns.append((comparison.short_title(key), cells))
    return _grid("Scores on each dataset", columns)


def _differences(comparison: Comparison) -> list[Grid]:
    """The differences to the baseline on each of several datasets, and in the mean."""
    compared = [variant for variant in comparison.complete if variant.on_datasets]
    if not compared:
        return []
    columns = [(VARIANT, [Cell(variant.label) for variant in compared])]
    for name, key in comparison.datasets.items():
        columns.append((name, [Cell(_difference_on(variant, key)) for variant in compared]))
    columns.append((comparison.short_title(comparison.metric), [Cell(_difference(v, set())) for v in compared]))
    return [_grid(f"D{_difference_heading(comparison)[1:]} on each dataset", columns)]


def _difference_on(variant: Variant, key: str) -> str:
    if key not in variant.on_datasets:
        return ""
    judged = variant.on_datasets[key]
    star = " *" if judged.verdict in (BETTER, WORSE) else ""
    return _with_half(judged.difference, "+") + star


def _parameter_share(variant: Variant) -> str:
    """`4.18%` of all parameters; their number where that of all is not known."""
    trainable, total = variant.trainable_parameters, variant.runs[0].total_parameters
    return f"{trainable:,.0f}" if not total or trainable is None else f"{100 * trainable / total:.2f}%"


def _costs(comparison: Comparison) -> Grid:
    """Further scores, and what each variant takes."""
    variants = comparison.complete
    shown = {comparison.metric, *comparison.datasets.values()}
    further = [key for key in comparison.titles if key not in shown]
    columns = [(VARIANT, [Cell(variant.label) for variant in variants])]
    columns += [(comparison.short_title(key), [_score(v, key) for v in variants]) for key in further]
    columns += [
        (PARAMETERS, [Cell(_parameters(variant)) for variant in variants]),
        (TIME, [Cell(duration(variant.seconds)) for variant in variants]),
        ("peak memory", [Cell(memory(variant.peak_memory_bytes)) for variant in variants]),
    ]
    if any(variant.tuned for variant in variants):
        columns.append(("tuned", [Cell(_tuned(variant)) for variant in variants]))
    return _grid("Scores and costs" if further else "Costs", columns)


def _grid(title: str, columns: Sequence[tuple[str, list[Cell]]]) -> Grid:
    return Grid(
        title, [name for name, _ in columns], [list(line) for line in zip(*(c for _, c in columns), strict=True)]
    )


def _seeds(variant: Variant, metric: str) -> str:
    std = variant.std(metric)
    return f"{len(variant.runs)}" if std is None else f"{len(variant.runs)} ({std:.2f})"


def _score(variant: Variant, metric: str, bold: bool = False) -> Cell:
    if metric in variant.intervals:
        return Cell(_with_half(variant.intervals[metric], ""), bold)
    mean = variant.mean(metric)
    return Cell("" if mean is None else f"{mean:.2f}", bold)


def _with_half(found: Interval, sign: str) -> str:
    return f"{found.mean:{sign}.2f} ± {found.high - found.mean:.2f}"


def _difference_heading(comparison: Comparison) -> str:
    return f"difference to {comparison.baseline.label}" if comparison.baseline else "difference to the baseline"


def _difference(variant: Variant, baselines: set[str]) -> str:
    if variant.difference is None:
        return BASELINE if variant.label in baselines else ""
    return _with_half(variant.difference, "+")


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _verdict(variant: Variant) -> str:
    """A line break stands where the text may be broken."""
    difference = variant.difference
    if difference is not None and variant.verdict is None:
        return "none: one seed"
    if difference is not None and variant.verdict == NO_DIFFERENCE:
        return f"{variant.verdict}\n(could have seen ≥ {difference.minimum_detectable:.2f})"
    return variant.verdict or ""


def _parameters(variant: Variant) -> str:
    trainable, total = variant.trainable_parameters, variant.runs[0].total_parameters
    if trainable is None:
        return ""
    return f"{trainable:,.0f} ({_parameter_share(variant)})" if total else f"{trainable:,.0f}"


def _tuned(variant: Variant) -> str:
    """`lr=0.001`, and which are at the edge of their grid."""
    shown = [
        f"{key.rpartition('.')[2]}={spelled(value)}{f' {EDGE}' if key in variant.at_edge else ''}"
        for key, value in variant.tuned.items()
    ]
    return ", ".join(shown) or "not tuned"


def memory(size: float | None) -> str:
    """`1.4 GiB`; empty where it is not known."""
    if size is None:
        return ""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def duration(seconds: float | None) -> str:
    """`1 min 15 s`; empty where it is not known."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
