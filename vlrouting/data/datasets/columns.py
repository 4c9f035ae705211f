"""Columns of strings in a few arrays: built one by one, read in place.

Python stores an object's reference count in the object. A worker that reads a list of strings therefore writes to each
string, and the operating system copies the shared memory pages. A column is two arrays, however many strings it has.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from vlrouting.data.array_file import Arrays, smallest

_LENIENT = "surrogatepass"
"""JSON may contain half a surrogate pair, which is not a valid character."""


class TextBuilder:
    """Takes strings: UTF-8, one after the other, and the end of each."""

    def __init__(self) -> None:
        self._text, self._ends = bytearray(), array("Q", [0])

    def append(self, string: str) -> None:
        """Add a string at the end."""
        self._text += string.encode("utf-8", _LENIENT)
        self._ends.append(len(self._text))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What `Texts` reads."""
        return {f"{name}.text": np.frombuffer(self._text, np.uint8), f"{name}.ends": smallest(_numbers(self._ends))}


class TableBuilder:
    """Takes strings, of which many are equal: each distinct one is stored once and has a number."""

    def __init__(self) -> None:
        self._texts, self._codes = TextBuilder(), dict[str, int]()

    def code(self, string: str) -> int:
        """The number of a string, from 0, in the order of the first appearance."""
        code = self._codes.get(string)
        if code is None:
            code = self._codes[string] = len(self._codes)
            self._texts.append(string)
        return code

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What `Texts` reads."""
        return self._texts.arrays(name)


class RowsBuilder:
    """Takes rows of numbers, of different lengths: the numbers one after the other, and the end of each row."""

    def __init__(self, kind: str = "I") -> None:
        """`kind`: type code of `array`."""
        self.numbers, self._ends = array(kind), array("Q", [0])

    def end_row(self) -> None:
        """What was appended to `numbers` since the last call is a row."""
        self._ends.append(len(self.numbers))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The numbers, and `ends`: row i is from ends[i] to ends[i + 1]."""
        numbers = _numbers(self.numbers)
        return {name: smallest(numbers), f"{name}.ends": smallest(_numbers(self._ends))}


def codes(numbers: array[int]) -> np.ndarray:
    """A column with one number per row."""
    return smallest(_numbers(numbers))


def _numbers(numbers: array[int]) -> np.ndarray:
    return np.frombuffer(numbers, numbers.typecode) if len(numbers) else np.empty(0, numbers.typecode)


class Texts(Sequence[str]):
    """Strings that lie in two arrays; each access makes the string anew."""

    def __init__(self, stored: Arrays, name: str) -> None:
        self._text, self._ends = memoryview(stored[f"{name}.text"].data), stored[f"{name}.ends"]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        """The string at `index`, from 0."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"there is no string {index} among {len(self)}")
        return str(self._text[int(self._ends[index]) : int(self._ends[index + 1])], "utf-8", _LENIENT)

    def __iter__(self) -> Iterator[str]:
        start = 0
        for end in self._ends[1:].tolist():
            yield str(self._text[start:end], "utf-8", _LENIENT)
            start = end
