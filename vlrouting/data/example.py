"""What every reader yields, and the error for everything that is wrong with a user's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class DataError(ValueError):
    """A mistake in the user's data. The message names the file, the record and what to do; it needs no traceback."""

    def __init__(self, message: str) -> None:
        # The worker of a DataLoader hands its error on with the whole traceback as the message, whose end is ours.
        super().__init__(message.rpartition(f"\n{__name__}.{type(self).__name__}: ")[2].rstrip("\n"))


@dataclass(frozen=True, slots=True)
class Example:
    """One question about an image (or about several: a dataset of image pairs gives two paths)."""

    id: int | str
    """Unique in its split; for VQAv2 the question_id."""
    images: tuple[Path, ...]
    """Paths of the images; nothing has been opened yet."""
    text: str
    """The question as the file has it."""
    labels: Mapping[str, float]
    """Soft score in [0, 1] by answer string; empty where the answers are not public."""
    answers: tuple[str, ...] = ()
    """The ten raw answers; empty where the file has none."""
    answer_type: str = ""
    """`yes/no`, `number` or `other`; empty where the file does not say."""
    question_type: str = ""
    """Leading words of the question (VQAv2 has 65 types); empty where the file does not say."""
    answer: str = ""
    """The most common answer, from which a vocabulary is built; empty where there is none."""
