"""Analyses the complete points of an experiment: files, scalars and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrouting.analysis.event_scalars import write_scalars
from vlrouting.analysis.point import analyse_point
from vlrouting.analysis.show import Analysed, show
from vlrouting.experiment import Experiment, Point, write_json_atomic
from vlrouting.experiment.plugins import import_plugins
from vlrouting.training.complete_points import complete_points
from vlrouting.training.device import choose_device, free_memory
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import catch_signals


def analyse(experiment: Experiment, points: Sequence[Point], runs: Path, examples: int) -> None:
    """Analyse every complete point and print what was found.

    Each run directory gets an analysis.json, and scalars where `train.logger` has tensorboard.

    Args:
        experiment: that the points are of.
        points: to analyse.
        runs: folder of the run directories.
        examples: of the test split, at most.

    Raises:
        UserError: no point is complete, or all examples have the same image.
        ArtifactError: an artifact is damaged, or its backbones are others than at its training.
    """
    complete = complete_points(experiment, points, runs)
    inputs = SharedInputs(choose_device(point.config for point in points))
    found: list[Analysed] = []
    with catch_signals():
        for point, run in complete:
            with run.lock():
                import_plugins(point.config.plugins)
                analysis = analyse_point(point.config, run.artifact, inputs, examples, point.name)
                write_json_atomic(run.analysis, analysis.to_json())
                if "tensorboard" in point.config.train.logger:
                    write_scalars(run.tensorboard / "analysis", analysis)
            found.append(Analysed(point.name, point.variant, analysis))
            free_memory()
    show(found)
