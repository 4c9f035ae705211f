"""A bar chart of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vlrouting.experiment.atomic import atomically
from vlrouting.experiment.errors import UserError
from vlrouting.report.rows import Group, Measured, Row, by_setting

BAR = "#4878a8"
TEXT_ONLY = "#a04030"


def comparison_plot(rows: Sequence[Row], path: Path) -> Path:
    """Draw one bar per variant, the height of its main metric, as a PNG file. The best variant is on top.

    The seeds of a variant share a bar: their mean, with the sample standard deviation as error bar. A text-only
    baseline is a dashed line, unless there is nothing else to draw.

    Raises:
        UserError: no point is complete.
    """
    groups = [(group, value) for group in by_setting(rows) if (value := group.measured(group.rows[0].main_metric))]
    if not groups:
        raise UserError("no point is complete yet: there is nothing to plot.")
    with_image = [(group, value) for group, value in groups if not group.text_only]
    lines = [(group, value) for group, value in groups if group.text_only] if with_image else []
    bars = sorted(with_image or groups, key=lambda pair: pair[1].mean)
    figure = Figure(figsize=(7, 1.2 + 0.42 * len(bars) + 0.3 * bool(lines)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _draw_bars(axes, bars)
    _draw_lines(axes, lines)
    _label(axes, bars, lines)
    with atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return path


def _draw_bars(axes: Axes, bars: Sequence[tuple[Group, Measured]]) -> None:
    stds = [value.std or 0.0 for _, value in bars]
    error_bars = stds if any(stds) else None
    means = [value.mean for _, value in bars]
    style = {"capsize": 3, "elinewidth": 1}
    drawn = axes.barh(range(len(bars)), means, 0.62, color=BAR, xerr=error_bars, error_kw=style)
    axes.set_yticks(range(len(bars)), [group.variant for group, _ in bars])
    axes.bar_label(drawn, [str(value) for _, value in bars], padding=4, fontsize=9)


def _draw_lines(axes: Axes, lines: Sequence[tuple[Group, Measured]]) -> None:
    for group, value in lines:
        label = f"{group.variant}: {value.mean:.2f} (no image)"
        axes.axvline(value.mean, color=TEXT_ONLY, linestyle="--", linewidth=1.4, label=label)
    if lines:
        axes.figure.legend(loc="outside lower right", frameon=False, fontsize=9)


def _label(axes: Axes, bars: Sequence[tuple[Group, Measured]], lines: Sequence[tuple[Group, Measured]]) -> None:
    names = {row.metric_name for group, _ in bars for row in group.rows}
    axes.set_xlabel(names.pop() if len(names) == 1 else bars[0][0].rows[0].main_metric)
    # Bars start at zero, because readers compare their lengths. The margin leaves space for the bar labels.
    limit = max(value.mean + (value.std or 0.0) for _, value in [*bars, *lines])
    axes.set_xlim(0, 1.2 * limit or 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
