"""A subset of a split, for a quicker evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from vlrouting.data.datasets.lazy_examples import LazyExamples, identity_of
from vlrouting.data.example import Example


class EvenlySpaced(LazyExamples):
    """`count` evenly spaced examples of a split, in order, starting with the first. Nothing is copied.

    Attributes:
        whole: all examples of the split, with the reader's further methods, such as GQA's official records.
    """

    def __init__(self, whole: Sequence[Example], count: int) -> None:
        """`count`: at most `len(whole)`."""
        self.whole, self._count = whole, count
        identity = identity_of(whole)
        self.identity = None if identity is None else identity.part(f"{count} evenly spaced")

    def __len__(self) -> int:
        return self._count

    def example(self, index: int) -> Example:
        """See `LazyExamples`."""
        return self.whole[index * len(self.whole) // len(self)]


def evenly_spaced(examples: Sequence[Example], limit: int | None) -> Sequence[Example]:
    """At most `limit` of the examples, in their order."""
    if limit is None or limit >= len(examples):
        return examples
    return EvenlySpaced(examples, limit)
