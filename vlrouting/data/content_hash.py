"""A digest of examples, by which runs are recognised that were trained on, or scored on, other data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlrouting.data.datasets.lazy_examples import LazyExamples
from vlrouting.data.example import Example, image_name

DIGITS = 8
_CHUNK = 1000


def content_hash(examples: Sequence[Example], root: Path) -> str:
    """Eight hexadecimal digits over the examples, in their order: ids, texts, references, soft scores, image names.

    The same on every machine and for every data root. What the images show is not covered: reading them takes minutes.
    Stored examples know their digest.

    Args:
        examples: of a split, or a part of it.
        root: the data root, which the names of images are below.
    """
    whole = examples.content if isinstance(examples, LazyExamples) else None
    if whole is None:
        digest = ContentDigest()
        for example in examples:
            digest.add(example, [image_name(path, root) for path in example.images])
        whole = digest.hexdigest()
    return whole[:DIGITS]


def combined_hash(hashes: Mapping[str, str]) -> str:
    """One digest of those of several datasets, by name, in their order."""
    return hashlib.sha256(json.dumps(list(hashes.items())).encode()).hexdigest()[:DIGITS]


class ContentDigest:
    """The digest of examples that are added one by one."""

    def __init__(self) -> None:
        self._digest, self._rows = hashlib.sha256(), list[list[object]]()

    def add(self, example: Example, images: list[str]) -> None:
        """Add the next example; `images` are the names of its images."""
        labels = dict(example.labels)
        self._rows.append([example.id, example.text, example.answers, labels, example.answer, images])
        if len(self._rows) == _CHUNK:
            self._flush()

    def hexdigest(self) -> str:
        """64 hexadecimal digits; nothing can be added afterwards."""
        self._flush()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        if self._rows:
            # Only ASCII: what else needs no escape depends on the version of Python.
            self._digest.update(json.dumps(self._rows).encode())
            self._rows.clear()
