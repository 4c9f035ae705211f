"""Every variant with its interval, and every seed as a dot."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vlrouting.report.comparison import Comparison
from vlrouting.report.plots.plot import Plot, Shown, padded, with_scores
from vlrouting.report.plots.style import BLUE, INK, MUTED, ORANGE, PAPER, height_of_rows, new_figure, row_labels

NAME, TITLE = "variants", "Score of each variant"


def variants(comparison: Comparison) -> Plot:
    """The mean over seeds of the main metric, its confidence interval, and the seeds."""
    shown = with_scores(comparison)
    if not shown:
        return Plot(NAME, TITLE, "No point is complete yet, so there are no scores to plot.")
    labels = [one.label for one in shown]
    figure, axes = new_figure(height_of_rows(labels))
    row_labels(axes, labels)
    for row, one in enumerate(shown):
        _draw(axes, row, one)
    baseline = next((one.mean for one in shown if one.variant == comparison.baseline), None)
    if baseline is not None:
        axes.axvline(baseline, color=MUTED, linestyle=":", linewidth=1.2, zorder=1)
    ends = [end for one in shown for end in (*one.scores, one.low, one.high) if end is not None]
    axes.set_xlim(*padded(ends))
    axes.set_xlabel(comparison.short_title(comparison.metric))
    figure.legend(handles=_legend(shown, baseline is not None), loc="outside lower right", ncols=2)
    return Plot(NAME, TITLE, f"{comparison.metric_title}. {_text(shown)}", figure)


def _draw(axes: Axes, row: int, one: Shown) -> None:
    color = _color(one)
    if one.low is not None and one.high is not None:
        style = "solid" if one.has_seed_component else (0, (2, 1.5))
        axes.plot([one.low, one.high], [row, row], color=color, linewidth=2.4, linestyle=style, solid_capstyle="butt")
    axes.plot(
        one.scores, [row + 0.2] * len(one.scores), "o", markersize=3.2, color=color, alpha=0.55, markeredgewidth=0
    )
    fill = color if one.variant.tied_with_best else PAPER
    axes.plot(one.mean, row, "o" if one.variant.control is None else "s", markersize=7, color=color, mfc=fill, mew=1.6)


def _color(one: Shown) -> str:
    return BLUE if one.variant.control is None else ORANGE


def _legend(shown: Sequence[Shown], with_baseline: bool) -> list[Line2D]:
    def mark(label: str, **style: object) -> Line2D:
        return Line2D([], [], **{"color": INK, "linestyle": "", "label": label, **style})  # type: ignore[arg-type]

    entries = [mark("one seed", marker="o", markersize=3.2, alpha=0.55)]
    if any(one.low is not None for one in shown):
        entries.append(mark("95% interval", linestyle="solid", linewidth=2.4))
    if any(one.low is not None and not one.has_seed_component for one in shown):
        entries.append(mark("interval of one seed only", linestyle=(0, (2, 1.5)), linewidth=2.4))
    if any(one.variant.tied_with_best for one in shown):
        entries.append(mark("tied with the best", marker="o", markersize=6))
    if any(one.variant.control is not None for one in shown):
        entries.append(mark("control", marker="s", markersize=6, color=ORANGE, mfc=PAPER))
    if with_baseline:
        entries.append(mark("baseline", linestyle=":", color=MUTED))
    return entries


def _text(shown: Sequence[Shown]) -> str:
    text = "Each variant's mean over its seeds with its 95% confidence interval; each small dot is one seed."
    if any(one.low is not None and not one.has_seed_component for one in shown):
        text += " A dashed interval is of a single training run: another seed may lie outside."
    if any(one.low is None for one in shown):
        text += " A variant without an interval has no scores of single examples."
    return text
