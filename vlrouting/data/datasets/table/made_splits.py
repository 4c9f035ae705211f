"""Splits of a table that has none: by a seeded hash of the images or groups, so that no image is in two of them.

The split of a row depends on its own image (or group) alone: more rows move no old one. Only where rows hang together
by several images, or by an image in two groups, can a further row join two sets that were in different splits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from vlrouting.config import SplitShares

_ONE = 1 << 63
"""Nodes of groups are below it, those of images above: the smallest of a set is that of a group if there is one."""
_TRIED = 100
"""Seeds that are tried where one leaves a split empty."""


def image_key(path: str) -> str:
    """What an image is called for the splits: the same for names that some file systems take for the same, and whether
    or not the folder `images` is named."""
    return unicodedata.normalize("NFC", path).casefold().removeprefix("images/")


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % _ONE


class MadeSplits:
    """Divides rows among train, val and test. `add` sees every row before `split` is asked."""

    def __init__(self, seed: int, shares: SplitShares) -> None:
        self.seed = seed
        self._ends = (("test", shares.test), ("val", shares.test + shares.val))
        self._parents: dict[int, int] = {}

    def add(self, images: Sequence[str], group: str) -> int:
        """A node that stands for a row, which is kept together with all rows of its images and its group."""
        nodes = list(self._nodes(images, group))
        roots = sorted({self.root_of(node) for node in nodes}) if len(nodes) > 1 else nodes
        for root in roots[1:]:
            self._parents[root] = roots[0]
        return nodes[0]

    def split(self, images: Iterable[str], group: str) -> str:
        """The split of a row."""
        return self.split_of(next(self._nodes(images, group)))

    def split_of(self, node: int) -> str:
        """The split of the row that a node stands for."""
        return self._split(self.root_of(node), self.seed)

    def other_seed(self, nodes: Iterable[int], wanted: Iterable[str]) -> int | None:
        """A seed that leaves none of the wanted splits empty; None where none is found."""
        roots, needed = {self.root_of(node) for node in nodes}, set(wanted)
        return next((seed for seed in range(_TRIED) if needed <= {self._split(root, seed) for root in roots}), None)

    def _split(self, root: int, seed: int) -> str:
        position = _hash(f"{seed} {root}") / _ONE
        return next((name for name, end in self._ends if position < end), "train")

    def _nodes(self, images: Iterable[str], group: str) -> Iterator[int]:
        if group:
            yield _hash(f"group {group}")
        for image in images:
            yield _hash(f"image {image_key(image)}") + _ONE

    def root_of(self, node: int) -> int:
        """The node that stands for all rows that a row is kept together with."""
        root = node
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while self._parents.get(node, node) != root:
            self._parents[node], node = root, self._parents[node]
        return root
