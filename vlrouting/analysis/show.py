"""The analyses of an experiment on the console."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.analysis.answers import CHANGES, interval
from vlrouting.analysis.layers import LayerMeasures
from vlrouting.analysis.point import Analysis
from vlrouting.config.experiment import SINGLE
from vlrouting.report.console import standard_output

ABSENT = "-"
LEGEND = (
    "Added:  size of what routing adds to the update, relative to the update without it",
    "Image:  size of the update's change when the image is swapped, relative to the update",
    "Rank:   effective rank of the text features before and after routing, of at most R",
    "CKA:    similarity of text and image features; in parentheses, with other examples' images",
    "Answers that change when the image is swapped for another example's, or removed; 95% intervals",
    "What each number means, and when it misleads: docs/analysis.md",
)


@dataclass(frozen=True)
class Analysed:
    """An analysis, with the names of its point and of its variant: the points that differ in nothing but the seed."""

    point: str
    variant: str
    analysis: Analysis


def show(analysed: Sequence[Analysed], console: Console | None = None) -> None:
    """Print a line per point; per variant, where there are several seeds; and per layer, where there is one point.

    Args:
        analysed: in the order of the lines.
        console: to print on; default: standard output.
    """
    console = console or standard_output()
    if len(analysed) == 1:
        _print_layers(analysed[0], console)
    console.print(_summary("Points", [(each.point, [each.analysis]) for each in analysed]))
    variants: dict[str, list[Analysis]] = {}
    for each in analysed:
        variants.setdefault(each.variant, []).append(each.analysis)
    if len(variants) < len(analysed):
        console.print(_summary("Variants", [(f"{name} ({len(of)} seeds)", of) for name, of in variants.items()]))
    for line in LEGEND:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _print_layers(analysed: Analysed, console: Console) -> None:
    layers = analysed.analysis.layers
    table = _table(
        f"Layers of {analysed.point}", ("layer", "module", "kind", "routing"), ("added", "image", *_RANKS, "CKA")
    )
    for layer in layers:
        module = layer.name if layer.bottleneck == SINGLE else f"{layer.bottleneck}: {layer.name}"
        module += "" if layer.task is None else f" ({layer.task})"
        number = ABSENT if layer.layer is None else str(layer.layer)
        _add(table, number, module, layer.kind, layer.routing, *_measures([layer]))
    console.print(table)
    for reason in dict.fromkeys(layer.not_measured for layer in layers if layer.not_measured):
        console.print(f"Not measured: {reason}\n", soft_wrap=True, markup=False, highlight=False)


def _summary(title: str, rows: Iterable[tuple[str, Sequence[Analysis]]]) -> Table:
    """A line per row: its name, and the means over its analyses and their layers."""
    table = _table(title, ("name",), ("added", "image", *_RANKS, "CKA", *CHANGES, "score", *CHANGES))
    for name, analyses in rows:
        answers = [analysis.answers for analysis in analyses]
        intervals = interval(answers)
        shares = [
            _percent(statistics.fmean(each.share(change) for each in answers), intervals[change]) for change in CHANGES
        ]
        layers = [layer for analysis in analyses for layer in analysis.layers]
        _add(table, name, *_measures(layers), *shares, *_scores(analyses))
    return table


_RANKS = ("rank before", "after", "R")


def _measures(layers: Sequence[LayerMeasures]) -> list[str]:
    """The cells of one bottleneck, or the means over several."""
    width = sorted({layer.width for layer in layers if layer.width is not None})
    chance = _mean(layers, "cka_by_chance")
    return [
        _mean(layers, "relative_size"),
        _mean(layers, "image_dependence"),
        _mean(layers, "effective_rank_before", 1),
        _mean(layers, "effective_rank_after", 1),
        "/".join(map(str, width)) or ABSENT,
        f"{_mean(layers, 'cka')} ({chance})",
    ]


def _mean(layers: Iterable[LayerMeasures], field: str, digits: int = 3) -> str:
    values = [value for layer in layers if (value := getattr(layer, field)) is not None]
    return f"{statistics.fmean(values):.{digits}f}" if values else ABSENT


def _percent(share: float, ends: tuple[float, float] | None) -> str:
    within = "" if ends is None else f" [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
    return f"{100 * share:.1f}%{within}"


def _scores(analyses: Sequence[Analysis]) -> list[str]:
    found = [analysis.answers.score for analysis in analyses]
    present = [score for score in found if score is not None]
    if len(present) < len(found):
        return [ABSENT] * (1 + len(CHANGES))
    return [f"{statistics.fmean(getattr(score, name) for score in present):.2f}" for name in ("own", *CHANGES)]


def _table(title: str, texts: Iterable[str], numbers: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*map(Text, cells))  # Text, not str: rich would parse [1] as markup
