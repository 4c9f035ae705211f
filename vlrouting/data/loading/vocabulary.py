"""The answers that a classifier chooses among, in a fixed order: read from a file, or built from a training split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vlrouting.config import DataConfig
from vlrouting.config.names import listed
from vlrouting.data.datasets.json_records import read_json
from vlrouting.data.datasets.json_text import shown, usable_text
from vlrouting.data.datasets.lazy_examples import LazyExamples
from vlrouting.data.datasets.presence import answers_path
from vlrouting.data.datasets.registry import format_of
from vlrouting.data.example import DataError, Example

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AnswerVocabulary:
    """A answers; immutable, picklable, and equal to any other with the same answers in the same order."""

    answers: tuple[str, ...]
    """Answer by index. A checkpoint's classifier belongs to this order."""
    _indices: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises DataError for an answer that occurs twice, and for no answers."""
        if not self.answers:
            raise DataError("an answer vocabulary needs at least one answer; choose another data.answers")
        indices = {answer: index for index, answer in enumerate(self.answers)}
        if len(indices) != len(self.answers):
            twice = [answer for index, answer in enumerate(self.answers) if indices[answer] != index]
            raise DataError(f"answers occur twice: {listed(map(shown, twice))}; remove the repetitions")
        object.__setattr__(self, "_indices", indices)

    def __len__(self) -> int:
        return len(self.answers)

    def index(self, answer: str) -> int | None:
        """Index of an answer, None when it is not among them."""
        return self._indices.get(answer)

    def decode(self, index: int) -> str:
        """Answer of an index."""
        return self.answers[index]

    def encode(self, labels: Mapping[str, float]) -> Tensor:
        """Soft targets (A,) float32: the score of each label that is known; the others are lost."""
        import torch  # not needed to look at a vocabulary, and slow to import

        targets = torch.zeros(len(self.answers))
        for answer, score in labels.items():
            index = self._indices.get(answer)
            if index is not None:
                targets[index] = score
        return targets

    @classmethod
    def of(cls, data: DataConfig, training: Iterable[Example]) -> AnswerVocabulary:
        """The answers of an experiment: read from `data.answers`, or built from the training split.

        Raises:
            DataError: the file is no list of answers, or no answer is common enough.
        """
        path = answers_path(data)
        if path is not None:
            return cls.read(path)
        return cls.build(training, data.min_answer_count or 1, format_of(data).normalize_answer)

    @classmethod
    def read(cls, path: Path) -> AnswerVocabulary:
        """From a JSON list (`trainval_label2ans.json`) or a map answer -> index (`trainval_ans2label.json`).

        Raises:
            DataError: not such a file, an answer twice, or indices that are not 0 … A-1, each once.
        """
        content = read_json(path)
        if isinstance(content, dict):
            content = _by_index(content, path)
        if not isinstance(content, list):
            raise DataError(f"{path}: neither a list of answers nor a map answer -> index; choose another data.answers")
        usable = enumerate(map(usable_text, content))
        wrong = [f"{index}: {shown(answer)}" for index, answer in usable if type(answer) is not str]
        if wrong:
            raise DataError(f"{path}: an answer must be a string; at index {listed(wrong)}; repair the list")
        try:
            return cls(tuple(content))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @classmethod
    def build(cls, examples: Iterable[Example], min_count: int, normalize: Callable[[str], str]) -> AnswerVocabulary:
        """The answers of at least `min_count` questions: of each question the most common answer, normalised.

        Args:
            examples: of one or several splits; those without labels are passed over.
            min_count: distinct question ids that an answer needs.
            normalize: makes equal what the dataset's evaluation takes for equal (`DatasetFormat.normalize_answer`).

        Raises:
            DataError: no answer is common enough.
        """
        return cls.common(_questions_by_answer(examples, normalize), min_count)

    @classmethod
    def common(cls, questions: Mapping[str, int], min_count: int) -> AnswerVocabulary:
        """The answers of at least `min_count` questions: the commonest first, then by the alphabet.

        Args:
            questions: normalised answer -> number of questions.
            min_count: that an answer needs.

        Raises:
            DataError: no answer is common enough.
        """
        kept = sorted((-count, answer) for answer, count in questions.items() if count >= min_count)
        if not kept:
            most = max(questions.values(), default=0)
            raise DataError(
                f"no answer belongs to {min_count} questions of the training split (the most common one: {most}); "
                "lower data.min_answer_count, or give data.answers"
            )
        return cls(tuple(answer for _, answer in kept))


def _questions_by_answer(examples: Iterable[Example], normalize: Callable[[str], str]) -> dict[str, int]:
    """Normalised answer -> distinct question ids that have it as their most common one."""
    counts = examples.answer_counts() if isinstance(examples, LazyExamples) else None
    if counts is not None:
        questions: Counter[str] = Counter()
        for answer, count in counts.items():
            questions[normalize(answer)] += count
        return questions
    normalized: dict[str, str] = {}
    ids: dict[str, set[int | str]] = {}
    for example in examples:
        if not example.labels:
            continue
        if example.answer not in normalized:
            normalized[example.answer] = normalize(example.answer)
        ids.setdefault(normalized[example.answer], set()).add(example.id)
    return {answer: len(of_answer) for answer, of_answer in ids.items()}


def _by_index(indices: Mapping[str, object], path: Path) -> list[str]:
    """The answers in the order of their indices."""
    expected = set(range(len(indices)))
    wrong = [f"{answer!a:.60}: {shown(index)}" for answer, index in indices.items() if type(index) is not int]
    lacking = expected - {index for index in indices.values() if type(index) is int}
    if wrong or lacking:
        found = f"no integer at {listed(wrong)}" if wrong else f"no answer has index {listed(sorted(lacking))}"
        raise DataError(f"{path}: indices must be 0 to {len(indices) - 1}, each once; {found}; fetch it again")
    return sorted(indices, key=lambda answer: int(str(indices[answer])))
