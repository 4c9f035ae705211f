"""`Example`, which every dataset reader returns, and `DataError`, the error for invalid or missing data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import Problem
from vlrouting.config.sentence_error import SentenceError


class DataError(SentenceError):
    """Invalid or missing data. The message names the file, the record and the remedy; users need no traceback."""

    problem: Problem | None = None
    """The error as an object, where it is about a key of the configuration."""

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
    """One example: a question about an image, a statement about a pair of images, or an image to describe."""

    id: int | str
    """Unique in its split: VQAv2's question_id, COCO's image id, GQA's question id (a string), NLVR2's identifier."""
    images: tuple[Path, ...]
    """Paths of the images; a pair is ordered left, right. The files have not been opened."""
    text: str
    """The question or statement, unchanged; empty for captioning."""
    labels: Mapping[str, float]
    """Answer -> soft score in [0, 1]; empty if the answers are not public, and for captioning."""
    answers: tuple[str, ...] = ()
    """References: VQAv2's ten raw answers, GQA's and NLVR2's one answer, or the captions of an image; may be empty."""
    answer_type: str = ""
    """VQAv2: `yes/no`, `number` or `other`. GQA: the structural type. Empty if the file does not have it."""
    question_type: str = ""
    """VQAv2: the question's first words (65 types). GQA: the semantic type. Empty if the file does not have it."""
    answer: str = ""
    """The most common answer (used to build a vocabulary) or the target caption; empty if there is none."""
    group: str = ""
    """What examples have in common that are not independent of each other, where it is not the image."""


def image_name(path: Path, root: Path) -> str:
    """What an image is called on every machine: its path below the data root, or, where it lies elsewhere, the names of
    its folder and of its file."""
    whole, above = str(path), f"{root}/" if root.parts else ""
    if not whole.startswith(above) or (path.is_absolute() and not above):
        return "/".join(path.parts[-2:])
    return whole.removeprefix(above)
