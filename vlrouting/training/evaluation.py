"""Scores the artifacts of complete points again, from nothing but the artifact and the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning

from vlrouting.bottleneck.artifact import load_trained_tensors, read_artifact, require_same_weights
from vlrouting.config import ExperimentConfig, TrainConfig
from vlrouting.data.content_hash import DIGITS
from vlrouting.experiment import Experiment, Point, RunDirectory
from vlrouting.experiment.plugins import import_plugins
from vlrouting.tasks.joint import stored_selection
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.complete_points import complete_points
from vlrouting.training.device import choose_device, precision_of
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import catch_signals
from vlrouting.training.progress_file import ProgressBar
from vlrouting.training.results import described_scores, write_predictions
from vlrouting.training.trainer import quiet_lightning


def evaluate(experiment: Experiment, points: Sequence[Point], runs: Path) -> None:
    """Test every complete point's artifact and write its predictions and test scores again.

    Raises:
        UserError: no point is complete.
        ArtifactError: an artifact is damaged, or its backbones are others than at its training.
    """
    complete = complete_points(experiment, points, runs)
    inputs = SharedInputs(choose_device(point.config for point in points))
    with catch_signals():
        for point, run in complete:
            with run.lock():
                import_plugins(point.config.plugins)
                _evaluate(point, run, inputs)


def rebuild(config: ExperimentConfig, artifact: Path, inputs: SharedInputs) -> Built:
    """The point as it was trained.

    Raises:
        ArtifactError: the artifact is damaged, or its backbones are others than at its training.
    """
    stored, tensors = read_artifact(artifact)
    built = build_point(config, inputs, stored_selection(stored))
    load_trained_tensors(built.task.model, tensors, str(artifact))
    require_same_weights(stored, built.artifact_config, str(artifact))
    return built


def testing_trainer(train: TrainConfig, title: str) -> lightning.Trainer:
    """A Trainer that tests a rebuilt point on one device and writes nothing; `title` is of its progress bar."""
    quiet_lightning()
    return lightning.Trainer(
        accelerator=train.accelerator,
        devices=1,
        precision=precision_of(train),
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[ProgressBar(title)],
    )


def _evaluate(point: Point, run: RunDirectory, inputs: SharedInputs) -> None:
    built = rebuild(point.config, run.artifact, inputs)
    testing_trainer(point.config.train, point.name).test(built.task, built.data, verbose=False)
    prefix = f"{built.task.final_split}/"
    kept = {name: value for name, value in run.read_metrics().items() if not name.startswith(prefix)}
    write_predictions(built, run, {**kept, **built.task.scores})
    # The training data may be others today than when the point was trained.
    trained_on = run.read_run().get("data_hash")
    run.update_run(**described_scores(built, trained_on[:DIGITS] if isinstance(trained_on, str) else None))
