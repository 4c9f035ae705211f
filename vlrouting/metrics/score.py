"""How one split's predictions are scored: the joint between a task and a dataset's metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torchmetrics import Metric

from vlrouting.config import EvaluateConfig


class Score(ABC):
    """A dataset's metric over one split, and the file that its evaluation server takes.

    Examples are what the dataset's reader gives: objects with `id`, `answers`, `answer_type`, `question_type`.

    Attributes:
        metric: the torchmetrics Metric, which collects over batches and processes.
        main: the number that points are compared by, and checkpoints chosen by: a key of `compute()`.
        results_file: name of the server's file in the run directory.
    """

    metric: Metric
    main: ClassVar[str]
    results_file: ClassVar[str]

    def __init__(self, examples: Sequence[Any], config: EvaluateConfig) -> None:
        """`examples`: all of the split that is scored."""
        self.examples = examples

    @abstractmethod
    def update(self, predictions: Sequence[str], examples: Sequence[Any]) -> None:
        """Take a batch's predictions, one per example. Examples without public answers are not scored."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """The split's numbers."""

    def not_computed(self) -> dict[str, str]:
        """Numbers that the last `compute` could not give -> why, and what to do."""
        return {}

    @abstractmethod
    def titles(self) -> dict[str, str]:
        """The numbers that a table shows, in its order -> what they are called there, with their variant."""

    @abstractmethod
    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """Write the evaluation server's file: predictions by id.

        Raises:
            ValueError: the ids are not those of the split.
        """

    @classmethod
    def missing(cls, config: EvaluateConfig) -> dict[str, str]:
        """Numbers that this machine will not be able to give -> why, and what to do; asked before training."""
        return {}
