"""Named arrays in one file, mapped into memory: read in place, and shared by all processes that open it.

The file: `MAGIC`, the length of the header (8 bytes), the header (JSON: facts, and type, shape and place of each
array), the arrays, and a CRC-32 of all that (4 bytes). Numbers are little-endian.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vlrouting.experiment.atomic import atomically

MAGIC = b"VLARRAY1"
_ALIGNMENT = 64
_CHECKSUM_BYTES = 4


class DamagedFile(ValueError):
    """A file that `write_arrays` did not write, or that was changed since."""


class Arrays:
    """Arrays by name, and facts about them that JSON can hold."""

    def __init__(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        self.arrays, self.facts = dict(arrays), dict(facts)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


class ArrayFile(Arrays):
    """Arrays that lie in a file and are read-only. A copy in another process (pickle) opens the file there."""

    def __init__(self, path: Path, checksum: int | None = None) -> None:
        """
        Args:
            path: of the file.
            checksum: of a file that was verified before, which is not read through again. Default: verify it.

        Raises:
            OSError: the file cannot be opened.
            DamagedFile: it is truncated or damaged, or not the one with that checksum.
        """
        self.path = path
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(MAGIC) + 8 + _CHECKSUM_BYTES:
                raise DamagedFile(f"{path} is truncated")
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self._checksum = int.from_bytes(content[-_CHECKSUM_BYTES:], "little")
        if bytes(content[: len(MAGIC)]) != MAGIC:
            raise DamagedFile(f"{path} is not such a file")
        expected = zlib.crc32(content[:-_CHECKSUM_BYTES]) if checksum is None else checksum
        if self._checksum != expected:
            raise DamagedFile(f"{path} is damaged")
        end = len(MAGIC) + 8 + int.from_bytes(content[len(MAGIC) : len(MAGIC) + 8], "little")
        try:
            header, start = json.loads(bytes(content[len(MAGIC) + 8 : end])), _aligned(end)
            arrays = {
                name: np.frombuffer(content, dtype, int(np.prod(shape)), start + place).reshape(shape)
                for name, (dtype, shape, place) in header["arrays"].items()
            }
            super().__init__(arrays, header["facts"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # another program's, with a checksum
            raise DamagedFile(f"{path} is damaged ({error})") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrayFile, (self.path, self._checksum)


def write_arrays(path: Path, stored: Arrays) -> None:
    """Write arrays and facts; the file appears complete or not at all.

    Raises:
        OSError: the disk is full or read-only.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in stored.arrays.items()}
    arrays = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in arrays.items()}
    places, size = {}, 0
    for name, array in arrays.items():
        places[name] = (array.dtype.str, array.shape, size)
        size = _aligned(size + array.nbytes)
    header = json.dumps({"facts": stored.facts, "arrays": places}).encode()
    with atomically(path) as temporary, temporary.open("wb") as file:
        checksum = 0

        def write(content: bytes | memoryview) -> None:
            nonlocal checksum
            file.write(content)
            checksum = zlib.crc32(content, checksum)

        head = MAGIC + len(header).to_bytes(8, "little") + header
        write(head.ljust(_aligned(len(head)), b"\0"))
        for array in arrays.values():
            if array.nbytes:
                write(memoryview(array.data).cast("B"))
            write(bytes(_aligned(array.nbytes) - array.nbytes))
        file.write(checksum.to_bytes(_CHECKSUM_BYTES, "little"))


def smallest(numbers: np.ndarray) -> np.ndarray:
    """Integers from 0 in the smallest type that holds them all."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))), copy=False)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
