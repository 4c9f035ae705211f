"""Which points of a sweep are still to be run. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vlrouting.config.names import counted
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, load, to_yaml
from vlrouting.experiment.compose import run_name
from vlrouting.progress_bar import say


def still_open(experiment: Experiment, points: Sequence[Point], runs: Path) -> list[Point]:
    """The points that are not complete; prints how many are. A trial that diverged is not run again.

    Raises:
        UserError: a directory holds a run with other settings.
    """
    directories = {point.name: RunDirectory(runs / experiment.name / point.name) for point in points}
    for point in points:  # complete ones too: their numbers would be taken for those of the new settings
        if directories[point.name].config.exists():  # the YAML of ten thousand points takes seconds
            directories[point.name].refuse_other_settings(to_yaml(point.config))
    found = [point for point in points if not directories[point.name].is_complete()]
    done = len(points) - len(found)
    diverged = [point for point in found if experiment.is_tuning and directories[point.name].has_diverged()]
    what = "trial" if experiment.is_tuning else "point"
    of_which = f", {len(diverged)} diverged" if diverged else ""
    say(f"{experiment.name}: {counted(len(points), what)}, {done} complete{of_which}")
    return [point for point in found if point not in diverged]


def set_aside(experiment: Experiment, points: Sequence[Point], runs: Path) -> None:
    """Move the points' directories to `runs/<experiment>/.old/`, so that they start from step 0 and nothing is lost.

    Raises:
        UserError: a point is being run.
    """
    folder = runs / experiment.name
    aside = folder / ".old" / f"{datetime.now():%Y%m%d-%H%M%S}"
    for run in (RunDirectory(folder / point.name) for point in points):
        if run.path.exists():
            with run.lock():
                aside.mkdir(parents=True, exist_ok=True)
            run.path.rename(aside / run.path.name)


@dataclass(frozen=True)
class KnownPoints:
    """An experiment by name, with the names of its points and trials; none where only its runs are left."""

    experiment: str
    points: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()


def known_points(name: str, runs: Path) -> KnownPoints:
    """What is known of an experiment.

    Raises:
        UserError: there is neither such an experiment nor a folder of its runs.
    """
    try:
        checked = load(name)
    except UserError:
        with suppress(UserError):
            stem = run_name(name)
            if (runs / stem).is_dir():
                return KnownPoints(stem)
        raise
    points, trials = (tuple(point.name for point in found) for found in (checked.points, checked.trials))
    return KnownPoints(checked.name, points, trials)
