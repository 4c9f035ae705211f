"""The main metric against what it costs, with the Pareto front: what is best among all that costs no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from vlrouting.report.comparison import Comparison, Variant
from vlrouting.report.plots.plot import Plot, Shown, padded, with_scores
from vlrouting.report.plots.style import BLUE, MUTED, ORANGE, PAPER, new_figure, wrapped

Costed = tuple[float, Shown]
_LINE = 0.15
"""Inches of a line of a label."""


def cost(comparison: Comparison) -> list[Plot]:
    """The plots against trainable parameters and against training time."""
    return [
        _plot(comparison, "parameters", "trainable parameters", lambda variant: variant.trainable_parameters),
        _plot(comparison, "time", "training time in seconds", lambda variant: variant.seconds),
    ]


def _plot(comparison: Comparison, name: str, axis: str, of: Callable[[Variant], float | None]) -> Plot:
    title = f"Metric against {axis.removesuffix(' in seconds')}"
    priced = [(value, one) for one in with_scores(comparison) if (value := of(one.variant)) is not None]
    if not priced:
        return Plot(f"metric_against_{name}", title, f"No complete run has recorded its {axis}.")
    height = max(2.9, 1.0 + _LINE * sum(map(_lines, priced)))
    figure, axes = new_figure(height)
    front = pareto_front(priced)
    for value, one in priced:
        _draw(axes, value, one, on_front=(value, one) in front)
    _scale(axes, priced, axis, comparison.short_title(comparison.metric))
    axes.step([value for value, _ in front], [one.mean for _, one in front], where="post", color=MUTED, linewidth=1.1)
    _labels(axes, priced, _LINE / (height - 0.9))
    figure.legend(handles=_legend(priced), loc="outside lower left", ncols=3)
    text = f"Each variant's mean with its interval, against its {axis}. The line joins what nothing cheaper reaches."
    return Plot(f"metric_against_{name}", title, text, figure)


def pareto_front(priced: Sequence[Costed]) -> list[Costed]:
    """The points that no other point beats at the same cost or less, the cheapest first. Controls are left out."""
    front: list[Costed] = []
    candidates = [pair for pair in priced if pair[1].variant.control is None]
    for value, one in sorted(candidates, key=lambda pair: (pair[0], -pair[1].mean)):
        if not front or one.mean > front[-1][1].mean:
            front.append((value, one))
    return front


def _draw(axes: Axes, value: float, one: Shown, *, on_front: bool) -> None:
    color = BLUE if one.variant.control is None else ORANGE
    if one.low is not None and one.high is not None:
        axes.plot([value, value], [one.low, one.high], color=color, linewidth=1.2, alpha=0.5, zorder=1)
    marker = "o" if one.variant.control is None else "s"
    axes.plot(value, one.mean, marker, color=color, mfc=color if on_front else PAPER, markersize=6, mew=1.4, zorder=3)


def _scale(axes: Axes, priced: Sequence[Costed], axis: str, metric: str) -> None:
    values = [value for value, _ in priced]
    if min(values) > 0 and max(values) >= 20 * min(values):
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 1.4, max(values) * 1.4)
    else:
        axes.set_xlim(*padded(values, 0.08))
    axes.set_ylim(*padded(end for _, one in priced for end in (one.mean, one.low, one.high) if end is not None))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel(axis)
    axes.set_ylabel(metric)
    axes.grid(True)


def _lines(pair: Costed) -> int:
    """Of the label."""
    return wrapped(pair[1].label).count("\n") + 1


def _labels(axes: Axes, priced: Sequence[Costed], line: float) -> None:
    """Names at the right edge, each joined to its point, so that points that lie together have names that do not.

    Args:
        axes: with their final limits.
        priced: the points.
        line: height of a line of text, as a share of the height of the axes.
    """
    ordered = sorted(priced, key=lambda pair: -pair[1].mean)
    low, high = axes.get_ylim()
    top, below = 1.0, line * sum(map(_lines, ordered))
    for value, one in ordered:
        height = line * _lines((value, one))
        # As near to the point's height as the names above it and the space for those below allow.
        middle = max(min((one.mean - low) / (high - low), top - height / 2), below - height / 2)
        axes.annotate(
            wrapped(one.label),
            xy=(value, one.mean),
            xytext=(1.05, middle),
            textcoords="axes fraction",
            va="center",
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.4, "shrinkB": 4, "relpos": (0, 0.5)},
        )
        top, below = middle - height / 2, below - height


def _legend(priced: Sequence[Costed]) -> list[Line2D]:
    entries = [
        Line2D([], [], color=MUTED, linewidth=1.1, marker="o", markersize=6, mfc=BLUE, mec=BLUE, label="Pareto front"),
        Line2D([], [], linestyle="", color=BLUE, marker="o", markersize=6, mfc=PAPER, label="others"),
    ]
    if any(one.variant.control is not None for _, one in priced):
        entries.append(Line2D([], [], linestyle="", color=ORANGE, marker="s", mfc=PAPER, label="control"))
    return entries
