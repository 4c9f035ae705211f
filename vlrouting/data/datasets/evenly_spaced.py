"""A part of a split, to score less than all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from vlrouting.data.example import Example


class EvenlySpaced(Sequence[Example]):
    """So many of a split's examples, from its first one on, in their order. Nothing is copied.

    Attributes:
        whole: all examples of the split, and what else it offers: GQA's official records, for instance.
    """

    def __init__(self, whole: Sequence[Example], count: int) -> None:
        """
        Args:
            whole: all examples.
            count: how many of them, at most as many as there are.
        """
        self.whole, self._count = whole, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        """One example, or a list of them."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no example {index} among {len(self)}")
        return self.whole[index % len(self) * len(self.whole) // len(self)]
