"""All points of an experiment in this process, one after the other; and what they share, for points that run apart."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from vlrouting.config import METRICS, ExperimentConfig
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError
from vlrouting.experiment.exit_status import ExitStatus
from vlrouting.launch.estimate import SweepEstimate, spelled_seconds
from vlrouting.launch.open_points import still_open
from vlrouting.launch.phases import in_phases
from vlrouting.progress_bar import say
from vlrouting.training.device import free_memory
from vlrouting.training.interruption import Cancelled, catch_signals
from vlrouting.training.out_of_memory import memory_errors_explained
from vlrouting.training.point import PointRun
from vlrouting.training.process import set_up_process
from vlrouting.training.user_errors import (
    EXPLAINED,
    USER_ERRORS,
    disk_errors_as_user_errors,
    error_text,
    written_folders,
)


def train(experiment: Experiment, points: Sequence[Point], runs: Path) -> dict[str, str]:
    """Train and evaluate every point that is not complete, and before them the trials of what is tuned; resume what was
    interrupted.

    A point that fails for a reason of its own does not stop the others.

    Returns:
        Point name -> reason, of those that failed.

    Raises:
        Cancelled: stopped by a signal.
        UserError, DataError, BackboneError: what the user can fix, a full disk among them.
    """
    if any(point.config.train.processes > 1 for point in points):
        raise UserError("train.devices, train.nodes: several processes need a launcher: local (one machine) or slurm")
    return in_phases(experiment, points, runs, _train)


def _train(experiment: Experiment, points: Sequence[Point], runs: Path) -> dict[str, str]:
    """One phase."""
    phase = "tuning " if experiment.is_tuning else ""
    open_points = still_open(experiment, points, runs)
    warn_of_missing_scores(open_points)
    failed: dict[str, str] = {}
    with catch_signals() as interruption:
        inputs = set_up_process([point.config for point in open_points])
        estimate = SweepEstimate(len(open_points))
        for number, point in enumerate(open_points, start=1):
            run = RunDirectory(runs / experiment.name / point.name)
            left = estimate.seconds()
            about = f", about {spelled_seconds(left)} left (from {estimate.basis})" if left is not None else ""
            say(f"{phase}[{number}/{len(open_points)}{about}] {point.name} -> {run.path}")
            estimate.started(point.name)
            try:
                PointRun(point, run, inputs, interruption, experiment.swept(point)).train_and_test()
            except (*USER_ERRORS, Cancelled):
                raise
            except Exception as error:
                if not isinstance(error, EXPLAINED):
                    traceback.print_exc()
                failed[point.name] = error_text(error)
                say(f"{point.name} failed: {failed[point.name]}")
            estimate.ended(point.name, complete=point.name not in failed)
            free_memory()
    return failed


def prepare(configs: Sequence[ExperimentConfig], threads: int) -> None:
    """Make what several points share before they start: generated data, image features. In a process of its own.

    Raises:
        SystemExit: USER_ERROR, or 128 + n for signal n.
    """
    try:
        with catch_signals():
            inputs = set_up_process(configs, threads=threads)
            for config in configs:
                views = config.per_dataset
                writing = disk_errors_as_user_errors(", ".join(views), written_folders(config))
                with writing, memory_errors_explained(config):
                    examples = {name: inputs.examples(v.data, images=v.uses_image) for name, v in views.items()}
                    inputs.visuals(config, examples)
    except Cancelled as stop:
        raise SystemExit(int(stop.exit_status)) from None
    except EXPLAINED as error:
        say(f"vlrouting: {error}")
        raise SystemExit(int(ExitStatus.USER_ERROR)) from None


def warn_of_missing_scores(points: Sequence[Point]) -> None:
    """Print, before hours of training, which scores this machine cannot compute."""
    names_of: dict[str, dict[str, None]] = {}
    for view in (view for point in points for view in point.config.per_dataset.values()):
        for name, reason in METRICS.load(view.metric).missing(view.evaluate).items():
            names_of.setdefault(reason, {})[name] = None
    for reason, names in names_of.items():
        say(f"warning: {', '.join(names)} will not be computed: {reason}")
