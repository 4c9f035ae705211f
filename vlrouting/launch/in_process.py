"""All points of an experiment in this process, one after the other."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from vlrouting.config import DATASETS, METRICS
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError
from vlrouting.experiment.plugins import import_plugins
from vlrouting.launch.open_points import still_open
from vlrouting.training.allocator import keep_freed_memory
from vlrouting.training.device import choose_device
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled, catch_signals
from vlrouting.training.point import run_point
from vlrouting.training.user_errors import USER_MISTAKES, disk_errors_told


def train(experiment: Experiment, points: Sequence[Point], runs: Path) -> dict[str, str]:
    """Train and evaluate every point that is not complete; resume what was cut off.

    A point that fails for a reason of its own does not stop the others.

    Returns:
        Point name -> reason, of those that failed.

    Raises:
        Cancelled: stopped by a signal.
        UserError, DataError, BackboneError: a mistake that the user can mend, a full disk among them.
    """
    if any(point.config.train.processes > 1 for point in points):
        raise UserError("train.devices, train.nodes: several processes need a launcher: local (one machine) or slurm")
    directories = {point.name: RunDirectory(runs / experiment.name / point.name) for point in points}
    open_points = still_open(experiment, points, runs)
    warn_of_missing_scores(open_points)
    failed: dict[str, str] = {}
    inputs = SharedInputs(choose_device(point.config for point in points))
    if inputs.device.type == "cpu":
        keep_freed_memory()
    with catch_signals() as interruption:
        for number, point in enumerate(open_points, start=1):
            import_plugins(point.config.plugins)
            _say(f"[{number}/{len(open_points)}] {point.name} -> {directories[point.name].path}")
            run = directories[point.name]
            try:
                with disk_errors_told(point.name, run.path):
                    run_point(point, run, inputs, interruption, experiment.swept(point))
            except (*USER_MISTAKES, Cancelled):
                raise
            except Exception as error:
                traceback.print_exc()
                failed[point.name] = f"{type(error).__name__}: {error}"
                _say(f"{point.name} failed: {failed[point.name]}")
    return failed


def warn_of_missing_scores(points: Sequence[Point]) -> None:
    """Say before hours of training what this machine will not be able to score."""
    lacking: dict[str, dict[str, None]] = {}
    for point in points:
        for name, reason in (
            METRICS.load(DATASETS.facts(point.config.data.name).metric).missing(point.config.evaluate).items()
        ):
            lacking.setdefault(reason, {})[name] = None
    for reason, names in lacking.items():
        _say(f"warning: {', '.join(names)} will not be computed: {reason}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
