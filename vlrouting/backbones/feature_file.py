"""Visual features on a disk, with checksums: what is read is what was computed, or an error.

A folder holds `features.npy`, (N, V, Dv) float32, mapped into memory, so that worker processes share it; and
`index.json`, which names its rows and has a checksum of every block of them. Imports no torch.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlrouting.backbones.location import BackboneError

FORMAT = 2
"""Of the files, and of how the pixels come from an image file; 1 had no checksums. A part of every cache's key."""
ARRAY, INDEX = "features.npy", "index.json"
BLOCK_BYTES = 1 << 18
"""About what a checksum covers: little to read for the first row of a block, and few checksums."""


class DamagedFeatures(BackboneError):
    """Stored features that cannot be used.

    Attributes:
        what: is wrong with them, without the folder and the remedy.
        old: nothing but that an older version wrote them.
    """

    what, old = "", False

    @classmethod
    def of(cls, folder: Path, what: str, old: bool = False) -> DamagedFeatures:
        """The error for a folder."""
        error = cls(f"{folder}: {what}; remove it, and it is computed again: rm -r '{folder}'")
        error.what, error.old = what, old
        return error


class FeatureFile:
    """The features of N images. A block is verified when a process reads it for the first time."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            DamagedFeatures: the folder is damaged, or was written by an older version.
        """
        self.folder = folder
        index = read_index(folder)
        self.row = {path: row for row, path in enumerate(index["images"])}
        self.paths: list[str] = index["images"]
        self._block_rows, self._checksums = index["block_rows"], index["checksums"]
        self._mapped: np.ndarray | None = None
        self._verified = bytearray(len(self._checksums))
        self._process = 0

    def array(self) -> np.ndarray:
        """(N, V, Dv), not verified; opened in the process that reads, as a mapping cannot travel to a worker."""
        if self._mapped is None or self._process != os.getpid():
            self._process, self._verified = os.getpid(), bytearray(len(self._checksums))
            try:
                self._mapped = np.load(self.folder / ARRAY, mmap_mode="r")
            except (OSError, ValueError, EOFError) as error:
                raise DamagedFeatures.of(self.folder, f"{ARRAY} cannot be read ({error})") from error
            if self._mapped.dtype != "<f4" or self._mapped.ndim != 3 or len(self._mapped) != len(self.paths):
                found = f"{self._mapped.shape} {self._mapped.dtype}"
                raise DamagedFeatures.of(
                    self.folder, f"{ARRAY} is {found}, which does not fit {len(self.paths):,} images"
                )
        return self._mapped

    def read(self, rows: Sequence[int]) -> list[np.ndarray]:
        """Verified features of these rows, (V, Dv) each.

        Raises:
            DamagedFeatures: they are not those that were computed.
        """
        array = self.array()
        for row in rows:
            if not self._verified[row // self._block_rows]:
                self._verify(row // self._block_rows)
        return [array[row] for row in rows]

    def verify(self) -> None:
        """Verify all blocks.

        Raises:
            DamagedFeatures: one is not what was computed.
        """
        self.array()
        for block in range(len(self._checksums)):
            self._verify(block)

    def _verify(self, block: int) -> None:
        first, last = block * self._block_rows, min((block + 1) * self._block_rows, len(self.paths)) - 1
        if _crc(self.array()[first : last + 1]) != self._checksums[block]:
            images = f"of {self.paths[first]}" + (f" to {self.paths[last]}" if last > first else "")
            raise DamagedFeatures.of(
                self.folder, f"{ARRAY}: rows {first} to {last}, {images}, are not what was computed"
            )
        self._verified[block] = True

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_mapped": None}


def read_index(folder: Path) -> dict[str, Any]:
    """The content of `index.json`, checked.

    Raises:
        DamagedFeatures: it is damaged, or of an older version.
    """
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if isinstance(index, dict) and index.get("format") != FORMAT:
            raise DamagedFeatures.of(folder, "an older version wrote it, without checksums", old=True)
        checksum = index.pop("checksum")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        if isinstance(error, DamagedFeatures):
            raise
        raise DamagedFeatures.of(folder, f"{INDEX} cannot be read ({type(error).__name__}: {error})") from error
    if checksum != _checksum(index):
        raise DamagedFeatures.of(folder, f"{INDEX} is not what was written")
    return index


def write_features(folder: Path, paths: Sequence[str], batches: Iterable[np.ndarray], **facts: str | None) -> None:
    """Write the features of images, which come in batches of any sizes, (B, V, Dv) each.

    Args:
        folder: exists, and is empty.
        paths: of the images, in the order of the features.
        batches: of the features, one after the other.
        facts: further entries of `index.json`.
    """
    checksums: list[int] = []
    block_rows = 0
    # Written as a plain file: writing through a memory map kills the process when the disk is full.
    with (folder / ARRAY).open("wb") as file:
        for features in _blocks(batches):
            if not checksums:
                block_rows = len(features)
                header = {"descr": "<f4", "fortran_order": False, "shape": (len(paths), *features.shape[1:])}
                np.lib.format.write_array_header_1_0(file, header)
            checksums.append(_crc(features))
            file.write(features.tobytes())
    index = {"format": FORMAT, **facts, "images": list(paths), "block_rows": block_rows, "checksums": checksums}
    (folder / INDEX).write_text(json.dumps({**index, "checksum": _checksum(index)}), encoding="utf-8")


def _blocks(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same rows in blocks of one size; the last may be smaller."""
    rest: np.ndarray | None = None
    for batch in batches:
        rest = np.asarray(batch, dtype="<f4") if rest is None else np.concatenate([rest, batch], dtype="<f4")
        rows = max(1, BLOCK_BYTES // rest[0].nbytes) if len(rest) else 1
        whole = len(rest) // rows * rows
        for start in range(0, whole, rows):
            yield np.ascontiguousarray(rest[start : start + rows])
        rest = rest[whole:]
    if rest is not None and len(rest):
        yield np.ascontiguousarray(rest)


def _crc(rows: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(rows).data)


def _checksum(index: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(index, sort_keys=True).encode())
