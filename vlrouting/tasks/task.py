"""What a task decides: its training examples, its batches, what its model gives out, its loss and its predictions.

Imports no Lightning: a trained artifact predicts without it. `scored` trains a task with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from vlrouting.config import DataConfig, ExperimentConfig
from vlrouting.data.example import Example
from vlrouting.data.loading.batch import Batch, CollateFunction, VisualSource
from vlrouting.models.joint_model import JointModel


@dataclass(frozen=True)
class TaskInputs:
    """What a task builds its collate functions and its `TaskModel` from."""

    config: ExperimentConfig
    tokenizer: Any
    """Of the language model."""
    answers: tuple[str, ...]
    """What `Task.answers` gave, in the order of the head's outputs; empty where text is generated."""
    visual: VisualSource | None
    """Loads the images; None where the model reads none."""


class TaskModel(ABC):
    """The joint model as a task uses it: the loss of a batch, and its predictions.

    Attributes:
        model: the joint model.
        inputs: configuration, tokenizer and answers.
    """

    def __init__(self, model: JointModel, inputs: TaskInputs) -> None:
        self.model, self.inputs = model, inputs

    def __call__(self, batch: Batch) -> Tensor:
        """What the joint model gives for the batch."""
        output: Tensor = self.model(batch)
        return output

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """A scalar, whose mean over the devices and micro-batches of an optimizer step is the step's loss."""

    def training_loss(self, batch: Batch) -> Tensor:
        """`loss`, with what the bottlenecks add to it (`Bottleneck.auxiliary_loss`)."""
        loss = self.loss(batch)
        for added in self.model.auxiliary_losses():
            loss = loss + added.to(loss)
        return loss

    @abstractmethod
    def predict(self, batch: Batch) -> list[str]:
        """One text per example of the batch."""

    def ranked(self, batch: Batch, top: int) -> list[list[tuple[str, float | None]]]:
        """Of each example the `top` answers, best first, with their probabilities; None for a text without one."""
        return [[(text, None)] for text in self.predict(batch)]


class Task(ABC):
    """One task. `register_task` gives an instance its name; the name's facts say whether it generates text."""

    module: ClassVar[type[TaskModel]]
    """Has the loss and the predictions."""

    def training_examples(self, examples: Sequence[Example]) -> Sequence[Example]:
        """What an epoch goes through, from the training split as it was read."""
        return examples

    def answers(self, data: DataConfig, training: Sequence[Example]) -> tuple[str, ...]:
        """The answers that a head chooses among, in the order of its outputs; none where text is generated.

        Args:
            data: the section of the experiment.
            training: the training split as it was read.

        Raises:
            DataError: they cannot be read or built.
        """
        return ()

    @abstractmethod
    def longest_row(self, data: DataConfig) -> int:
        """Most tokens of a training example, without the image's."""

    def longest_target(self, data: DataConfig) -> int:
        """Most of those tokens that the model learns to generate."""
        return 0

    @abstractmethod
    def collate(self, inputs: TaskInputs, training: bool) -> CollateFunction:
        """Makes the batches of training, or those of validation, test and prediction.

        Raises:
            DataError: the tokenizer does not fit the task.
        """
