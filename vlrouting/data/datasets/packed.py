"""Stores millions of strings in a few buffers, so that forked workers share the memory.

Python stores an object's reference count in the object. A worker that reads a list of strings therefore writes to each
string, and the operating system copies the shared memory pages. The classes here hold three or four Python objects,
however many strings they store.
"""

from __future__ import annotations

import hashlib
import sys
from array import array

_LENIENT = "surrogatepass"
"""JSON may contain half a surrogate pair, which is not a valid character."""


class PackedStrings:
    """A list of mostly distinct strings: one buffer of UTF-8, and the end position of each string."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        """The string at `index`, from 0."""
        return self._text[self._ends[index] : self._ends[index + 1]].decode("utf-8", _LENIENT)

    def update_digest(self, digest: hashlib._Hash) -> None:
        """Add the strings to a digest."""
        digest.update(_little_endian(self._ends))
        digest.update(self._text)

    def append(self, string: str) -> None:
        """Add a string at the end."""
        self._text += string.encode("utf-8", _LENIENT)
        self._ends.append(len(self._text))


class CodedStrings:
    """A list of strings with many duplicates: the distinct strings, and an index into them for each entry."""

    def __init__(self) -> None:
        self._codes = array("I")
        self._distinct = PackedStrings()
        self._code_of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, index: int) -> str:
        """The string at `index`, from 0."""
        return self._distinct[self._codes[index]]

    def update_digest(self, digest: hashlib._Hash) -> None:
        """Add the strings to a digest."""
        digest.update(_little_endian(self._codes))
        self._distinct.update_digest(digest)

    def append(self, string: str) -> None:
        """Add a string at the end."""
        code = self._code_of.get(string)
        if code is None:
            code = self._code_of[string] = len(self._distinct)
            self._distinct.append(string)
        self._codes.append(code)


def _little_endian(numbers: array[int]) -> memoryview | bytes:
    if sys.byteorder == "little":
        return memoryview(numbers)
    swapped = array(numbers.typecode, numbers)
    swapped.byteswap()
    return swapped.tobytes()
