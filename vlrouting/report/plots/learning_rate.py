"""The validation score of every tuning run against the tuned value, a panel per variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vlrouting.config.names import listed
from vlrouting.report.plots.plot import Plot, padded
from vlrouting.report.plots.style import BLUE, GRID, INK, MUTED, ORANGE, panels, wrapped
from vlrouting.report.trials import Trial, Tuning

NAME, TITLE = "learning_rate", "Tuning"
LEARNING_RATE = "train.lr"
_CHOSEN: dict[str, Any] = {"marker": "o", "color": INK, "mfc": "none", "markersize": 9, "mew": 1.4}
_AT_EDGE: dict[str, Any] = {"marker": "D", "color": ORANGE, "mfc": "none", "markersize": 8, "mew": 1.4}


def learning_rate(tunings: Mapping[str, Tuning]) -> Plot:
    """Score against the learning rate, or against the first tuned number where the rate was not tuned.

    Args:
        tunings: variant's label -> its tuning runs.
    """
    key = _key(tunings)
    if key is None:
        return Plot(NAME, TITLE, "Nothing was tuned: all variants share one learning rate (`sweep.tune` tunes it).")
    drawn = {label: _numeric(tuning, key) for label, tuning in tunings.items()}
    scores = [trial.score for trials in drawn.values() for _, trial in trials if trial.score is not None]
    if not scores:
        return Plot(NAME, TITLE, "No tuning run is complete yet.")
    figure, axes = panels(len(drawn))
    limits = padded(scores, 0.12)
    for place, label in zip(axes, drawn, strict=True):
        for other in drawn.values():
            _line(place, other, color=GRID, linewidth=1.0, zorder=1)
        _draw(place, drawn[label], bottom=limits[0], at_edge=key in tunings[label].at_edge)
        place.set_title(wrapped(label), loc="left")
    values = sorted({value for trials in drawn.values() for value, _ in trials})
    _scale(axes, values, limits)
    metric = next(iter(tunings.values())).metric
    failed = any(trial.score is None for trials in drawn.values() for _, trial in trials)
    edges = [label for label, tuning in tunings.items() if key in tuning.at_edge]
    _finish(figure, key, metric, failed=failed, edge=bool(edges))
    text = f"{metric} of every tuning run against {key}; the other variants in gray. The ring marks the chosen value"
    text += "; a cross is a run that failed or diverged." if failed else "."
    if edges:
        text += f" At the edge of the grid, so a wider grid may do better: {listed(edges)}."
    return Plot(NAME, TITLE, text, figure)


def _key(tunings: Mapping[str, Tuning]) -> str | None:
    keys = [
        key
        for tuning in tunings.values()
        for trial in tuning.trials
        for key, value in trial.values.items()
        if _is_number(value)
    ]
    return LEARNING_RATE if LEARNING_RATE in keys else next(iter(keys), None)


def _numeric(tuning: Tuning, key: str) -> list[tuple[float, Trial]]:
    """The trials by value of the key."""
    pairs = [(float(str(t.values[key])), t) for t in tuning.trials if _is_number(t.values.get(key))]
    return sorted(pairs, key=lambda pair: pair[0])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _line(axes: Axes, trials: list[tuple[float, Trial]], **style: object) -> None:
    """Through the best score at each value: other keys may be tuned too."""
    best: dict[float, float] = {}
    for value, trial in trials:
        if trial.score is not None:
            best[value] = max(trial.score, best.get(value, trial.score))
    axes.plot(list(best), list(best.values()), **style)  # type: ignore[arg-type]


def _draw(axes: Axes, trials: list[tuple[float, Trial]], *, bottom: float, at_edge: bool) -> None:
    _line(axes, trials, color=BLUE, linewidth=1.4, zorder=2)
    for value, trial in trials:
        if trial.score is None:
            axes.plot(value, bottom, "x", color=ORANGE, markersize=6, mew=1.6, clip_on=False, zorder=4)
        else:
            axes.plot(value, trial.score, "o", color=BLUE, markersize=3.5, zorder=3)
            if trial.chosen:
                axes.plot(value, trial.score, linestyle="", zorder=4, **(_AT_EDGE if at_edge else _CHOSEN))


def _scale(axes: list[Axes], values: list[float], limits: tuple[float, float]) -> None:
    """Axes are shared: what is set on the first holds for all, but for the labels' rotation."""
    if values[0] > 0 and values[-1] >= 5 * values[0]:
        axes[0].set_xscale("log")
    axes[0].set_xticks(values, [f"{value:g}" for value in values])
    for each in axes if len(values) > 3 else ():
        each.tick_params(axis="x", labelrotation=40)
    axes[0].set_xticks([], minor=True)
    axes[0].set_ylim(*limits)
    axes[0].margins(x=0.12)


def _finish(figure: Figure, key: str, metric: str, *, failed: bool, edge: bool) -> None:
    figure.supxlabel(key, fontsize=8.5)
    figure.supylabel(metric, fontsize=8.5)
    handles = [Line2D([], [], linestyle="", label="chosen", **_CHOSEN)]
    if edge:
        handles.append(Line2D([], [], linestyle="", label="chosen at the edge", **_AT_EDGE))
    if failed:
        handles.append(Line2D([], [], linestyle="", marker="x", color=ORANGE, mew=1.6, label="failed"))
    handles.append(Line2D([], [], color=MUTED, alpha=0.5, linewidth=1.0, label="others"))
    figure.legend(handles=handles, loc="outside upper right", ncols=4)
