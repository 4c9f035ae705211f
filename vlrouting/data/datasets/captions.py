"""Captions as examples: all captions of an image for evaluation, one by one for training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from vlrouting.data.datasets.lazy_examples import LazyExamples, identity_of, images_of, texts_of
from vlrouting.data.datasets.stored_examples import StoredExamples
from vlrouting.data.example import DataError, Example


def clean_caption(caption: str) -> str:
    """The caption on one line, without surrounding white space; COCO's captions have stray blanks and line breaks."""
    lines = (line.strip() for line in caption.splitlines())
    return " ".join(line for line in lines if line)


def captioned(image_id: int, image: Path, captions: Iterable[str], where: str) -> Example:
    """The example of an image and all its captions.

    Raises:
        DataError: there is no caption, or one is empty; the message starts with `where`.
    """
    cleaned = tuple(map(clean_caption, captions))
    if not cleaned:
        raise DataError(f"{where}: has no caption; fetch the file again, or remove the image from it")
    if not all(cleaned):
        number = cleaned.index("") + 1
        raise DataError(f"{where}: caption {number} of {len(cleaned)} is empty; add its text or remove it")
    return Example(image_id, (image,), "", {}, answers=cleaned, answer=cleaned[0])


class TrainingPairs(LazyExamples):
    """One example per caption, with the caption as `answer` and the id `<image id>#<number from 0>`."""

    def __init__(self, whole: Sequence[Example]) -> None:
        """`whole`: images with all their captions."""
        self.whole = whole
        if isinstance(whole, StoredExamples):
            self._ends = np.cumsum(whole.references())
        else:
            self._ends = np.cumsum([len(example.answers) for example in whole], dtype=np.int64)
        identity = identity_of(whole)
        self.identity = None if identity is None else identity.part("by caption")

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def example(self, index: int) -> Example:
        """See `LazyExamples`."""
        image = int(np.searchsorted(self._ends, index, side="right"))
        example, number = self.whole[image], index - (int(self._ends[image - 1]) if image else 0)
        return replace(example, id=f"{example.id}#{number}", answers=(), answer=example.answers[number])

    def texts(self) -> Iterable[str]:
        """See `LazyExamples`."""
        counts = np.diff(self._ends, prepend=0).tolist()
        return chain.from_iterable(map(repeat, texts_of(self.whole), counts))

    def answers(self) -> Iterable[str]:
        """See `LazyExamples`."""
        if isinstance(self.whole, StoredExamples):
            return self.whole.all_references()
        return (caption for example in self.whole for caption in example.answers)

    def images(self) -> set[Path]:
        """See `LazyExamples`."""
        return images_of(self.whole)
