"""Captions as texts: cleaned of line breaks, and one by one for a language model that learns to write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vlrouting.data.example import DataError, Example


def clean_caption(caption: str) -> str:
    """The caption on one line, without white space around it; COCO's have trailing blanks and stray line breaks."""
    lines = (line.strip() for line in caption.splitlines())
    return " ".join(line for line in lines if line)


def captioned(image_id: int, image: Path, captions: Iterable[str], where: str) -> Example:
    """The example of an image and all its captions.

    Raises:
        DataError: a caption is empty, or there is none; starts with `where`.
    """
    cleaned = tuple(map(clean_caption, captions))
    if not cleaned:
        raise DataError(f"{where}: has no caption; fetch the file again, or remove the image from it")
    if not all(cleaned):
        number = cleaned.index("") + 1
        raise DataError(f"{where}: caption {number} of {len(cleaned)} is empty; write or remove it")
    return Example(image_id, (image,), "", {}, answers=cleaned, answer=cleaned[0])


def training_pairs(examples: Iterable[Example]) -> list[Example]:
    """One example for each caption of each image: it is the `answer`, and the id is `<image id>#<number from 0>`."""
    return [
        replace(example, id=f"{example.id}#{number}", answers=(), answer=caption)
        for example in examples
        for number, caption in enumerate(example.answers)
    ]
