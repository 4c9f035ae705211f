"""How one split's predictions are scored: what a task and a dataset's metric have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.results_file import named

Id = int | str


@dataclass(frozen=True)
class Scores:
    """What a metric gives for one split."""

    values: dict[str, float] = field(default_factory=dict)
    """Numbers of the split, by flat name."""
    per_example: dict[str, dict[Id, float]] = field(default_factory=dict)
    """Name -> example id -> number, of those numbers that each example has, in the unit of `values`."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Numbers that could not be computed -> why, and what to do."""


class Score(ABC):
    """A dataset's metric over one split, and the file that its evaluation server takes.

    A subclass defines `evaluate`, `titles` and `write_results`. Examples are what the dataset's reader gives: objects
    with `id`, `images`, `answers`, `answer_type`, `question_type`.

    Attributes:
        main: the number that points are compared by, and checkpoints chosen by: a key of `Scores.values`.
        results_file: name of the server's file in the run directory.
        examples: all of the split that is scored.
    """

    main: ClassVar[str]
    results_file: ClassVar[str]

    def __init__(self, examples: Sequence[Any], config: EvaluateConfig) -> None:
        self.examples, self.config = examples, config

    def compute(self, predictions: Mapping[Id, str]) -> Scores:
        """The scores of a split's predictions, by id. Examples without public answers are not scored.

        Raises:
            ValueError: an example has no prediction.
        """
        ids = [example.id for example in self.examples if example.answers]
        if not ids:
            reason = f"the split has no public answers; hand {self.results_file} in to the evaluation server"
            return Scores(not_computed={self.main: reason})
        missing = [identity for identity in ids if identity not in predictions]
        if missing:
            raise ValueError(f"examples without a prediction: {named(missing)}; predict every one of them")
        return self.evaluate({identity: predictions[identity] for identity in ids})

    @abstractmethod
    def evaluate(self, predictions: Mapping[Any, str]) -> Scores:
        """The scores of the predictions, by id, of all examples that have answers.

        The first process alone calls this, with the predictions of all: nothing in it may wait for other processes.
        """

    @abstractmethod
    def titles(self, scores: Scores) -> dict[str, str]:
        """The numbers that a table shows, in its order -> what they are called there, with their variant."""

    @abstractmethod
    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """Write the evaluation server's file: predictions by id.

        Raises:
            ValueError: the ids are not those of the split.
        """

    def cluster(self, example: Any) -> str:
        """What an example has in common with those that are not independent of it: its image, unless said otherwise."""
        return " ".join(map(str, example.images))

    @classmethod
    def missing(cls, config: EvaluateConfig) -> dict[str, str]:
        """Numbers that this machine will not be able to give -> why, and what to do; asked before training."""
        return {}
