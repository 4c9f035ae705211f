"""What a task decides: its training examples, its batches, what its model gives out, its loss and its predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from vlrouting.config import DataConfig
from vlrouting.data.example import Example
from vlrouting.data.loading.batch import CollateFunction
from vlrouting.tasks.scored import TaskInputs, TaskModule


class Task(ABC):
    """One task. `register_task` gives an instance its name; the name's facts say whether it generates text."""

    command: ClassVar[str] = "predict"
    """The command that uses a trained artifact: `predict` (a question about an image) or `caption`."""
    module: ClassVar[type[TaskModule]]
    """The LightningModule, which has the loss and the predictions."""

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

    @abstractmethod
    def collate(self, inputs: TaskInputs, training: bool) -> CollateFunction:
        """Makes the batches of training, or those of validation, test and prediction.

        Raises:
            DataError: the tokenizer does not fit the task.
        """


__all__ = ["Task", "TaskInputs"]
