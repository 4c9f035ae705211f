"""A sequence that makes its examples on access."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

from vlrouting.data.example import Example


class LazyExamples(Sequence[Example]):
    """Indexing and slicing on top of `__len__` and `example`."""

    @abstractmethod
    def example(self, index: int) -> Example:
        """The example at `index`, 0 <= index < len(self)."""

    def update_digest(self, digest: hashlib._Hash) -> bool:
        """Add to a digest what the examples are made of, the same on every machine. False: nothing was added, and the
        examples are to be hashed one by one."""
        return False

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        """One example, or a list of examples."""
        if isinstance(index, slice):
            return [self.example(number) for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no example {index} among {len(self)}")
        return self.example(index % len(self))
