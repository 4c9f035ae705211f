"""The points of an experiment that can be evaluated again. Imports no torch: quick to say that none can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrouting.experiment import Experiment, Point, RunDirectory, UserError
from vlrouting.experiment.choice import recorded
from vlrouting.progress_bar import say


def complete_points(experiment: Experiment, points: Sequence[Point], runs: Path) -> list[tuple[Point, RunDirectory]]:
    """The complete points with their run directories; the others are named on standard error. What is tuned has the
    value that a point was trained with.

    Raises:
        UserError: no point is complete, or the config.yaml of one is damaged.
    """
    directories = [(point, RunDirectory(runs / experiment.name / point.name)) for point in points]
    complete = [(recorded(point, run), run) for point, run in directories if run.is_complete()]
    if not complete:
        states = ", ".join(f"{run.path.name} ({run.status() or 'not started'})" for _, run in directories[:3])
        more = ", …" if len(directories) > 3 else ""
        raise UserError(
            f"{runs / experiment.name}: no point is complete: {states}{more}; "
            f"run `vlrouting train {experiment.name}` first"
        )
    kept = {point.name for point, _ in complete}
    for point, run in directories:
        if point.name not in kept:
            say(f"{point.name}: left out, it is {run.status() or 'not started'}")
    return complete
