"""Captions as examples: all captions of an image for evaluation, one by one for training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

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


def training_pairs(examples: Iterable[Example]) -> list[Example]:
    """One example per caption, with the caption as `answer` and the id `<image id>#<number from 0>`."""
    return [
        replace(example, id=f"{example.id}#{number}", answers=(), answer=caption)
        for example in examples
        for number, caption in enumerate(example.answers)
    ]
