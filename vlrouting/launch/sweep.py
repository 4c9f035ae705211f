"""All points of an experiment in this process, one after the other."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from vlrouting.backbones.location import BackboneError
from vlrouting.data.example import DataError
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, to_yaml
from vlrouting.experiment.plugins import import_plugins
from vlrouting.launch.allocator import keep_freed_memory
from vlrouting.launch.inputs import SharedInputs
from vlrouting.launch.interruption import Cancelled, catch_signals
from vlrouting.launch.point import run_point
from vlrouting.metrics.registry import SCORES

USER_MISTAKES = (UserError, DataError, BackboneError)
"""Errors that hold for the whole sweep: going on to the next point would only repeat them."""


def train(experiment: Experiment, points: Sequence[Point], runs: Path) -> dict[str, str]:
    """Train and evaluate every point that is not complete; resume what was cut off.

    A point that fails for a reason of its own does not stop the others.

    Returns:
        Point name -> reason, of those that failed.

    Raises:
        Cancelled: stopped by a signal.
        UserError, DataError, BackboneError: a mistake that the user can mend, a full disk among them.
    """
    directories = {point.name: RunDirectory(runs / experiment.name / point.name) for point in points}
    for point in points:  # also of complete points: their numbers would be taken for those of the new settings
        directories[point.name].refuse_other_settings(to_yaml(point.config))
    open_points = [point for point in points if not directories[point.name].is_complete()]
    _say(f"{experiment.name}: {len(points)} points, {len(points) - len(open_points)} complete")
    _warn_of_missing_scores(open_points)
    failed: dict[str, str] = {}
    inputs = SharedInputs(accelerator_device(experiment))
    if inputs.device.type == "cpu":
        keep_freed_memory()
    with catch_signals() as interruption:
        for number, point in enumerate(open_points, start=1):
            import_plugins(point.config.plugins)
            _say(f"[{number}/{len(open_points)}] {point.name} -> {directories[point.name].path}")
            try:
                run_point(point, directories[point.name], inputs, interruption, _differing(experiment, point))
            except (*USER_MISTAKES, Cancelled):
                raise
            except OSError as error:
                where = error.filename or directories[point.name].path
                raise UserError(f"{point.name}: {error.strerror or error}: {where}; what was saved is kept") from error
            except Exception as error:
                traceback.print_exc()
                failed[point.name] = f"{type(error).__name__}: {error}"
                _say(f"{point.name} failed: {failed[point.name]}")
    return failed


def _warn_of_missing_scores(points: Sequence[Point]) -> None:
    """Say before hours of training what this machine will not be able to score."""
    lacking: dict[str, dict[str, None]] = {}
    for point in points:
        for name, reason in SCORES[point.config.data.name].missing(point.config.evaluate).items():
            lacking.setdefault(reason, {})[name] = None
    for reason, names in lacking.items():
        _say(f"warning: {', '.join(names)} will not be computed: {reason}")


def accelerator_device(experiment: Experiment) -> torch.device:
    """The device on which visual features are computed."""
    wants_cpu = all(point.config.train.accelerator == "cpu" for point in experiment.points)
    return torch.device("cuda" if torch.cuda.is_available() and not wants_cpu else "cpu")


def _differing(experiment: Experiment, point: Point) -> dict[str, object]:
    """The keys that differ over the sweep, with this point's values."""
    keys = {key for other in experiment.points for key in other.differing}
    return {key: _value(point, key) for key in sorted(keys)}


def _value(point: Point, key: str) -> object:
    value: object = point.config
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
