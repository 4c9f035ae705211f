"""Analyses the complete points of an experiment: files, scalars and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vlrouting.analysis.event_scalars import write_scalars
from vlrouting.analysis.point import Analysis, analyse_point
from vlrouting.analysis.show import Analysed, show
from vlrouting.config.names import did_you_mean
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, write_json_atomic
from vlrouting.experiment.json_file import read_object
from vlrouting.experiment.plugins import import_plugins
from vlrouting.training.complete_points import complete_points
from vlrouting.training.device import choose_device, free_memory
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import catch_signals


def analyse(
    experiment: Experiment, points: Sequence[Point], runs: Path, examples: int, datasets: Sequence[str] = ()
) -> None:
    """Analyse every complete point and print what was found.

    Each run directory gets an analysis.json, and scalars where `train.logger` has tensorboard. That of a run on several
    datasets has one analysis for each, by name under `datasets`; those that are not analysed this time stay.

    Args:
        experiment: that the points are of.
        points: to analyse.
        runs: folder of the run directories.
        examples: of the test split, or of that of each dataset, at most.
        datasets: of a point's several, those to analyse on. Default: all.

    Raises:
        UserError: no point is complete, there is no such dataset, or all examples have the same image.
        ArtifactError: an artifact is damaged, or its backbones are others than at its training.
    """
    complete = complete_points(experiment, points, runs)
    for point, _ in complete:
        _require_datasets(point, datasets)
    inputs = SharedInputs(choose_device(point.config for point in points))
    found: list[Analysed] = []
    with catch_signals():
        for point, run in complete:
            with run.lock():
                import_plugins(point.config.plugins)
                of_dataset = analyse_point(
                    point.config, run.artifact, inputs, examples=examples, title=point.name, datasets=datasets
                )
                _write(point, run, of_dataset)
            for name, analysis in of_dataset.items():
                of = f": {name}" if point.config.datasets else ""
                found.append(Analysed(f"{point.name}{of}", f"{point.variant}{of}", analysis))
            free_memory()
    show(found)


def _require_datasets(point: Point, datasets: Sequence[str]) -> None:
    """
    Raises:
        UserError: the point is not trained on one of them.
    """
    known = point.config.datasets
    for name in datasets:
        if name not in known:
            hint = did_you_mean(name, known) or f" Its datasets: {', '.join(known) or 'one, without a name'}."
            raise UserError(f"--dataset {name}: {point.name} has no such dataset.{hint}")


def _write(point: Point, run: RunDirectory, of_dataset: Mapping[str, Analysis]) -> None:
    """Write analysis.json and the scalars."""
    several = bool(point.config.datasets)
    found = {name: analysis.to_json() for name, analysis in of_dataset.items()}
    if several:
        earlier = read_object(run.analysis).get("datasets") if run.analysis.exists() else None
        found = {"datasets": {**(earlier if isinstance(earlier, dict) else {}), **found}}
    write_json_atomic(run.analysis, found if several else next(iter(found.values())))
    if "tensorboard" in point.config.train.logger:
        for name, analysis in of_dataset.items():
            write_scalars(run.tensorboard / "analysis" / (name if several else ""), analysis)
