"""The differences to the baseline, with their intervals and a line at zero."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vlrouting.report.comparison import Comparison, Variant
from vlrouting.report.paired import BETTER, WORSE
from vlrouting.report.plots.plot import Plot, padded, with_scores
from vlrouting.report.plots.style import BLUE, INK, MUTED, ORANGE, height_of_rows, new_figure, row_labels
from vlrouting.statistics import Difference

NAME, TITLE = "differences", "Differences to the baseline"
_LOOK = {BETTER: (BLUE, "^"), WORSE: (ORANGE, "v")}
_UNDECIDED = (MUTED, "o")


@dataclass(frozen=True)
class _Row:
    variant: Variant
    difference: Difference

    @property
    def look(self) -> tuple[str, str]:
        """Colour and marker of the verdict."""
        return _LOOK.get(self.variant.verdict or "", _UNDECIDED)


def differences(comparison: Comparison) -> Plot:
    """Each variant minus the baseline on the main metric, over the seeds that both have."""
    ordered = [one.variant for one in with_scores(comparison)]
    rows = [_Row(variant, variant.difference) for variant in ordered if variant.difference is not None]
    if not comparison.baselines:
        return Plot(NAME, TITLE, "There is no baseline to compare with; `compare.baseline` names it.")
    if not rows:
        text = "No variant shares a seed with the baseline, or the runs have no scores of single examples."
        return Plot(NAME, TITLE, text)
    labels = [row.variant.label for row in rows]
    figure, axes = new_figure(height_of_rows(labels))
    row_labels(axes, labels)
    axes.axvline(0, color=INK, linewidth=1.0, zorder=1)
    for number, row in enumerate(rows):
        _draw(axes, number, row)
    axes.set_xlim(*padded([0.0, *(end for row in rows for end in (row.difference.low, row.difference.high))]))
    baseline = comparison.baseline.label if comparison.baseline is not None else "the baseline"
    axes.set_xlabel(f"difference to {baseline}: {comparison.short_title(comparison.metric)}")
    figure.legend(handles=_legend(rows), loc="outside lower right", ncols=3)
    text = (
        f"Each variant minus {baseline}, with the 95% confidence interval. The verdict is made with "
        "p-values adjusted by Holm's method for all comparisons together."
    )
    return Plot(NAME, TITLE, text, figure)


def _draw(axes: Axes, number: int, row: _Row) -> None:
    color, marker = row.look
    style = "solid" if row.difference.has_seed_component else (0, (2, 1.5))
    ends = [row.difference.low, row.difference.high]
    axes.plot(ends, [number, number], color=color, linewidth=2.4, linestyle=style, solid_capstyle="butt")
    axes.plot(row.difference.mean, number, marker, markersize=7, color=color)
    shown = f"{row.difference.mean:+.2f}"
    if row.variant.adjusted_p is not None:
        p = row.variant.adjusted_p
        shown += ", p < 0.001" if p < 0.001 else f", p = {p:.3f}"
    axes.annotate(shown, (1.01, number), xycoords=("axes fraction", "data"), va="center", fontsize=7.5)


def _legend(rows: list[_Row]) -> list[Line2D]:
    found = {row.variant.verdict or "no verdict": row.look for row in rows}
    return [
        Line2D([], [], linestyle="solid", linewidth=2.4, color=color, marker=marker, markersize=6, label=verdict)
        for verdict, (color, marker) in found.items()
    ]
