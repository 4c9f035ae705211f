"""How one split's predictions are scored: what a task and a dataset's metric have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.predictions_file import FieldType
from vlrouting.metrics.results_file import named

Id = int | str


@dataclass(frozen=True)
class Scores:
    """What a metric gives for one split."""

    values: dict[str, float] = field(default_factory=dict)
    """Numbers of the split, by flat name."""
    per_example: dict[str, dict[Id, float | list[float]]] = field(default_factory=dict)
    """Name -> example id -> number of the example, in the unit of `values`, whose mean is the number of the split; or
    the example's part of the sums that the number of the split is made of (`per_example.statistic`)."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Numbers that could not be computed -> why, and what to do."""


@dataclass(frozen=True)
class RecordedExample:
    """An example as predictions.jsonl has it: without its images."""

    id: Id
    answers: tuple[str, ...]
    answer_type: str
    question_type: str
    group: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> RecordedExample:
        """
        Raises:
            KeyError: the record lacks a field.
        """
        texts = (record.get(name, "") for name in ("answer_type", "question_type", "example_group"))
        return cls(record["id"], tuple(record["references"]), *texts)

    @property
    def answer(self) -> str:
        """The only answer of a data set that has one for each example."""
        return self.answers[0] if self.answers else ""


class Score(ABC):
    """A dataset's metric over one split, and the file that its evaluation server takes.

    A subclass defines `evaluate`, `titles` and `write_results`. Examples are what the dataset's reader gives: objects
    with `id`, `answers`, `answer`, `answer_type`, `question_type`, `group`. `of_records` makes them again from
    predictions.jsonl; a score that needs more than these fields writes it there (`fields`).

    Attributes:
        main: the number that points are compared by, and checkpoints chosen by: a key of `Scores.values`.
        results_file: name of the server's file in the run directory.
        field_types: types of the `fields`.
        of_data_set: numbers that `of_records` cannot give without the data set.
        examples: all of the split that is scored.
    """

    main: ClassVar[str]
    results_file: ClassVar[str]
    field_types: ClassVar[Mapping[str, FieldType]] = {}
    of_data_set: ClassVar[tuple[str, ...]] = ()

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

    def cluster(self, example: Any, images: Sequence[str]) -> str:
        """What an example has in common with those that are not independent of it: its group, or else its image, unless
        said otherwise.

        Args:
            example: of `examples`.
            images: names of its images, the same on every machine (`vlrouting.data.example.image_name`).
        """
        return getattr(example, "group", "") or " ".join(images)

    def fields(self) -> Mapping[Id, Mapping[str, Any]]:
        """Example id -> what `of_records` needs in the example's record beside the references and the types."""
        return {}

    @classmethod
    def of_records(
        cls,
        records: Sequence[Mapping[str, Any]],
        config: EvaluateConfig,
        read_split: Callable[[], Sequence[Any]] | None = None,
    ) -> Score:
        """The score of the examples in a predictions.jsonl, without the data set.

        Args:
            records: its lines, whose fields have the types of `field_types`.
            config: of the run.
            read_split: reads the split from the data set, for the numbers `of_data_set`, where it is there.

        Raises:
            KeyError: a record lacks a field: it was written by an older version.
            ValueError: as the constructor.
        """
        return cls([RecordedExample.of(record) for record in records], config)

    @classmethod
    def missing(cls, config: EvaluateConfig) -> dict[str, str]:
        """Numbers that this machine will not be able to give -> why, and what to do; asked before training."""
        return {}
