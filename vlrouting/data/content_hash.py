"""A digest of examples, by which runs are recognised that were trained on, or scored on, other data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from vlrouting.data.datasets.lazy_examples import LazyExamples
from vlrouting.data.example import Example, image_name

DIGITS = 8
_CHUNK = 1000


def content_hash(examples: Sequence[Example], root: Path) -> str:
    """Eight hexadecimal digits over the examples, in their order: ids, texts, references, soft scores, image names.

    The same on every machine and for every data root. What the images show is not covered: reading them takes minutes.
    Examples that are read lazily may hash what they store (`LazyExamples.update_digest`): a million questions of GQA
    take 0.05 s, 444,000 of VQAv2 2 s.

    Args:
        examples: of a split, or a part of it.
        root: the data root, which the names of images are below.
    """
    digest = hashlib.sha256()
    if not (isinstance(examples, LazyExamples) and examples.update_digest(digest)):
        rows = (_row(example, root) for example in examples)
        while chunk := list(islice(rows, _CHUNK)):
            # Only ASCII: what else needs no escape depends on the version of Python.
            digest.update(json.dumps(chunk).encode())
    return digest.hexdigest()[:DIGITS]


def _row(example: Example, root: Path) -> list[object]:
    images = [image_name(path, root) for path in example.images]
    return [example.id, example.text, example.answers, dict(example.labels), example.answer, images]
