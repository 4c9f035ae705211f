"""A picture of the comparison."""

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
FLOOR = "#a04030"


def comparison_plot(rows: Sequence[Row], path: Path) -> Path:
    """Bars of the main metric by variant, the best on top, as a PNG file.

    Several seeds of a variant share a bar: their mean, with the sample standard deviation as error bar. Points that
    see no image are a dashed line, the floor that the others must be above; where there are only such, they are bars.

    Raises:
        UserError: no point is complete.
    """
    groups = [(group, value) for group in by_setting(rows) if (value := group.measured(group.rows[0].main_metric))]
    if not groups:
        raise UserError("no point is complete yet: there is nothing to plot.")
    seeing = [(group, value) for group, value in groups if not group.blind]
    floors = [(group, value) for group, value in groups if group.blind] if seeing else []
    bars = sorted(seeing or groups, key=lambda pair: pair[1].mean)
    figure = Figure(figsize=(7, 1.2 + 0.42 * len(bars) + 0.3 * bool(floors)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _draw_bars(axes, bars)
    _draw_floors(axes, floors)
    _label(axes, bars, floors)
    with atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return path


def _draw_bars(axes: Axes, bars: Sequence[tuple[Group, Measured]]) -> None:
    names = [group.variant for group, _ in bars]
    means = [value.mean for _, value in bars]
    deviations = [value.deviation or 0.0 for _, value in bars]
    spread = deviations if any(deviations) else None
    drawn = axes.barh(range(len(bars)), means, 0.62, color=BAR, xerr=spread, error_kw={"capsize": 3, "elinewidth": 1})
    axes.set_yticks(range(len(bars)), names)
    texts = [f"{v.mean:.2f}" if v.deviation is None else f"{v.mean:.2f} ± {v.deviation:.2f}" for _, v in bars]
    axes.bar_label(drawn, texts, padding=4, fontsize=9)


def _draw_floors(axes: Axes, floors: Sequence[tuple[Group, Measured]]) -> None:
    for group, value in floors:
        label = f"{group.variant}: {value.mean:.2f} (no image)"
        axes.axvline(value.mean, color=FLOOR, linestyle="--", linewidth=1.4, label=label)
    if floors:
        axes.figure.legend(loc="outside lower right", frameon=False, fontsize=9)


def _label(axes: Axes, bars: Sequence[tuple[Group, Measured]], floors: Sequence[tuple[Group, Measured]]) -> None:
    names = {row.metric_name for group, _ in bars for row in group.rows}
    axes.set_xlabel(names.pop() if len(names) == 1 else bars[0][0].rows[0].main_metric)
    # Bars start at zero: their length is what the eye compares. The margin holds the numbers at their ends.
    reach = max(value.mean + (value.deviation or 0.0) for _, value in [*bars, *floors])
    axes.set_xlim(0, 1.2 * reach or 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
