"""Millions of strings in a few buffers, so that forked workers share them.

A Python object counts its users inside itself: a worker that only reads a list of strings writes to every one of them,
and the pages that it shares with its parent are copied. These columns are three or four objects, however many strings
they hold.
"""

from __future__ import annotations

from array import array

_LENIENT = "surrogatepass"
"""JSON may hold half a surrogate pair, which is no character."""


class PackedStrings:
    """Strings that are mostly distinct: one buffer of UTF-8, and where each of them ends."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        """The string at `index`, from 0."""
        return self._text[self._ends[index] : self._ends[index + 1]].decode("utf-8", _LENIENT)

    def append(self, string: str) -> None:
        """Add a string at the end."""
        self._text += string.encode("utf-8", _LENIENT)
        self._ends.append(len(self._text))


class CodedStrings:
    """Strings of which many are equal: a number for each, and the distinct ones."""

    def __init__(self) -> None:
        self._codes = array("I")
        self._distinct = PackedStrings()
        self._code_of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, index: int) -> str:
        """The string at `index`, from 0."""
        return self._distinct[self._codes[index]]

    def append(self, string: str) -> None:
        """Add a string at the end."""
        code = self._code_of.get(string)
        if code is None:
            code = self._code_of[string] = len(self._distinct)
            self._distinct.append(string)
        self._codes.append(code)
