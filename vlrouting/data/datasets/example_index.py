"""The index file of a split: its examples as they were read, as long as what they were read from is the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.data.array_file import Arrays
from vlrouting.data.datasets.image_paths import leads_out
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import Example
from vlrouting.data.index_folder import IndexName, opened_or_made

LEAST_BYTES = 4 << 20
"""Smaller files are read in a second, and get no index."""
SETTLED_SECONDS = 2.0
"""A file that was changed more recently may still be being written, and change again without another time stamp."""

Read = Callable[[], Iterable[Example]]


def indexed(read: Read, root: Path, title: str, settings: str, *, split: SplitConfig, files: Sequence[str]) -> Arrays:
    """The columns of a split (see `stored_examples.pack`): from its index file, or read.

    A file is used as long as the names, sizes and time stamps of the sources, the settings of the split and the code of
    the readers are the same. Whether an image leads out of the root, by a link that is there now, is looked at again.

    Args:
        read: reads the split.
        root: the data root.
        title: names the split for people.
        settings: dataset, split and everything that was set for it.
        split: the settings of the images.
        files: its sources below the root: files, or folders of files.
    """
    try:
        before = _states(root, files)
    except OSError:
        return pack(read(), root)  # the reader says what is wrong with which file
    newest = max((state[2] for state in before), default=0) / 1e9
    if sum(state[1] for state in before) < LEAST_BYTES or abs(time.time() - newest) < SETTLED_SECONDS:
        return pack(read(), root)

    def make() -> Arrays:
        stored = pack(read(), root)
        stored.facts["sources"] = _states(root, files)
        return stored

    def usable(stored: Arrays) -> bool:
        if stored.facts.get("sources") != before:  # they changed while they were read
            return False
        return not leads_out(StoredExamples(stored, root).image_paths(), root, split)

    return opened_or_made(root, IndexName(title, "examples", settings, json.dumps(before)), make, usable)


def _states(root: Path, files: Sequence[str]) -> list[list[Any]]:
    """Name, size and time of the last change (in ns) of every source file."""
    found: list[list[Any]] = []
    for name in files:
        path = root / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            stat = file.stat()
            found.append([f"{name}/{file.name}" if file != path else name, stat.st_size, stat.st_mtime_ns])
    return found
