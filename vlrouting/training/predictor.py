"""A trained artifact in use: answers questions about images, generates captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vlrouting.backbones.feature_cache import PixelSource
from vlrouting.backbones.load import load_backbones
from vlrouting.bottleneck import ArtifactError
from vlrouting.bottleneck.artifact import load_trained_tensors, read_artifact
from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.data.example import Example
from vlrouting.data.images import load_image
from vlrouting.data.loading.batch import CollateFunction
from vlrouting.experiment import UserError, config_from_dict, import_plugins
from vlrouting.tasks.scored import TaskModule
from vlrouting.tasks.task import Task, TaskInputs
from vlrouting.training.assembly import build_model
from vlrouting.training.selected import stored_selection


@dataclass
class Trained:
    """A trained point."""

    artifact: Path
    """Its folder."""
    config: ExperimentConfig
    module: TaskModule
    collate: CollateFunction

    @torch.inference_mode()
    def answer(self, images: Sequence[Path], question: str, top: int = 5) -> list[tuple[str, float | None]]:
        """Answers to a question about an image (NLVR2: about two), best first, with their probabilities. A model that
        generates text gives one answer, without a probability.

        Raises:
            DataError: an image is missing or broken.
            UserError: the artifact is for another command.
        """
        self._require("predict")
        return self.module.ranked(self.collate([_example(images, question)]), top)[0]

    @torch.inference_mode()
    def caption(self, images: Sequence[Path]) -> list[str]:
        """One caption per image.

        Raises:
            DataError: an image is missing or broken.
            UserError: the artifact is for another command.
        """
        self._require("caption")
        examples = [_example([image], "") for image in images]
        size = self.config.evaluate.batch_size
        parts = [examples[start : start + size] for start in range(0, len(examples), size)]
        return [text for part in parts for text in self.module.predict(self.collate(part))]

    def _require(self, command: str) -> None:
        of_task = TASKS.load(self.config.task).command
        if of_task != command:
            raise UserError(f"{self.artifact}: was trained for the task {self.config.task}; use `vlrouting {of_task}`")


def _example(images: Sequence[Path], text: str) -> Example:
    for image in images:
        load_image(image)  # also where the model does not read it: a wrong path is a user error all the same
    return Example(0, tuple(images), text, {})


def load_trained(artifact: Path) -> Trained:
    """The model of an artifact that `vlrouting train` wrote, with its frozen backbones.

    Raises:
        ArtifactError: a file is missing or damaged, or a tensor is missing, unexpected or of another shape.
        BackboneError: a frozen backbone cannot be loaded.
        UserError: a plug-in cannot be imported.
    """
    stored, tensors = read_artifact(artifact)
    if "experiment" not in stored:
        raise ArtifactError(f"{artifact}: holds bottlenecks alone; load it with vlrouting.bottleneck.load")
    import_plugins(stored["experiment"]["plugins"])
    try:
        config = config_from_dict(stored["experiment"])
    except ValueError as error:
        raise ArtifactError(f"{artifact}: {error}") from None
    backbones, answers = load_backbones(config), tuple(stored["answers"])
    shape = tuple(stored["visual_shape"]) if stored["visual_shape"] else None
    model = build_model(config, backbones, shape, len(answers), stored_selection(stored))  # type: ignore[arg-type]
    load_trained_tensors(model, tensors, str(artifact))
    source = PixelSource(backbones.vision.transform, load_image) if backbones.vision is not None else None
    inputs = TaskInputs(config, backbones.language.tokenizer, answers, source, shape is not None)
    task: Task = TASKS.load(config.task)
    return Trained(artifact, config, task.module(model, inputs).eval(), task.collate(inputs, training=False))
