"""The points of an experiment that can be evaluated again. Imports no torch: quick to say that none can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, load
from vlrouting.experiment.choice import Choice
from vlrouting.progress_bar import say


def complete_points(experiment: Experiment, points: Sequence[Point], runs: Path) -> list[tuple[Point, RunDirectory]]:
    """The complete points, with the values that were tuned, and their run directories; the others are named on standard
    error.

    Raises:
        UserError: no point is complete, or the config.yaml of one is damaged.
    """
    directories = [(point, RunDirectory(runs / experiment.name / point.name)) for point in points]
    complete = [(point, run) for point, run in directories if run.is_complete()]
    if not complete:
        states = ", ".join(f"{run.path.name} ({run.status() or 'not started'})" for _, run in directories[:3])
        more = ", …" if len(directories) > 3 else ""
        raise UserError(
            f"{runs / experiment.name}: no point is complete: {states}{more}; "
            f"run `vlrouting train {experiment.name}` first"
        )
    for point, run in directories:
        if (point, run) not in complete:
            say(f"{point.name}: left out, it is {run.status() or 'not started'}")
    return [(_as_tuned(point, run), run) for point, run in complete]


def _as_tuned(point: Point, run: RunDirectory) -> Point:
    """The point with the tuned values of its run: the artifact fits no others, and the trials may have been removed."""
    tuned = point.config.tuned
    if tuned is None or tuned.trial is not None:
        return point
    stored = load(str(run.config), trust_plugins=True).points[0].config
    return point if stored.tuned is None else replace(point, config=Choice(stored.tuned, stored).applied(point.config))
