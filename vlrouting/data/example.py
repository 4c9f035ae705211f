"""What every reader yields, and the error for everything that is wrong with a user's data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import Problem


class DataError(ValueError):
    """A mistake in the user's data. The message names the file, the record and what to do; it needs no traceback."""

    problem: Problem | None = None
    """The error as an object, where it is about a key of the configuration."""

    def __init__(self, message: str) -> None:
        # The worker of a DataLoader hands its error on with the whole traceback as the message, whose end is ours.
        super().__init__(message.rpartition(f"\n{__name__}.{type(self).__name__}: ")[2].rstrip("\n"))

    @classmethod
    def about(cls, key: str, message: str, remedy: str = "") -> DataError:
        """An error in a key of the configuration."""
        problem = Problem((key,), message, remedy)
        error = cls(str(problem))
        error.problem = problem
        return error

    @classmethod
    def of_missing(cls, problems: Iterable[Problem]) -> DataError:
        """An error with a line for each thing that is missing."""
        return cls("\n".join(problem.sentence for problem in problems))


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn or to be tested on: a question about an image, a statement on a pair, an image to describe."""

    id: int | str
    """Unique in its split: VQAv2's question_id, COCO's image id, GQA's question id (a string), NLVR2's identifier."""
    images: tuple[Path, ...]
    """Paths of the images, a pair from left to right; nothing has been opened yet."""
    text: str
    """The question or statement as the file has it; empty where there is only an image."""
    labels: Mapping[str, float]
    """Soft score in [0, 1] by answer string; empty where the answers are not public, and for captions."""
    answers: tuple[str, ...] = ()
    """What a prediction is scored against: VQAv2's ten raw answers, GQA's and NLVR2's one answer, or an image's
    reference captions; empty where the file has none."""
    answer_type: str = ""
    """VQAv2: `yes/no`, `number` or `other`. GQA: the structural type. Empty where the file does not say."""
    question_type: str = ""
    """VQAv2: the question's leading words (65 types). GQA: the semantic type. Empty where the file does not say."""
    answer: str = ""
    """The most common answer, from which a vocabulary is built, or the caption to learn; empty where there is none."""
