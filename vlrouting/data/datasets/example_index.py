"""The index file of a split: its examples as they were read, as long as what they were read from is the same."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from vlrouting.data.array_file import Arrays
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import Example
from vlrouting.data.index_folder import IndexName, opened_or_made

LEAST_BYTES = 4 << 20
"""Smaller files are read in a second, and get no index."""
SETTLED_SECONDS = 2.0
"""A file that was changed more recently may still be being written, and change again without another time stamp."""

Read = Callable[[], Iterable[Example]]


def indexed(read: Read, root: Path, title: str, settings: str, files: Sequence[str]) -> Arrays:
    """The columns of a split (see `stored_examples.pack`): from its index file, or read.

    A file is used as long as the names, sizes and time stamps of the sources, the settings of the split and the code of
    the readers are the same, and the image folders have the same links: readers refuse links that lead out of the root.

    Args:
        read: reads the split.
        root: the data root.
        title: names the split for people.
        settings: dataset, split and everything that was set for it.
        files: its sources below the root: files, or folders of files.
    """
    before = _states(root, files)
    newest = max((state[2] for state in before), default=0) / 1e9
    if sum(state[1] for state in before) < LEAST_BYTES or abs(time.time() - newest) < SETTLED_SECONDS:
        return pack(read(), root)

    def make() -> Arrays:
        stored = pack(read(), root)
        stored.facts["folders"] = _folders(StoredExamples(stored, root), root)
        stored.facts["sources"] = _states(root, files)
        return stored

    def usable(stored: Arrays) -> bool:
        folders: list[list[str]] = stored.facts["folders"]
        as_it_was = all(_links(root / name, root) == links for name, links in folders)
        return as_it_was and stored.facts["sources"] == before  # that of a file that changed while it was read differs

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


def _folders(examples: StoredExamples, root: Path) -> list[list[str]]:
    """The folders of the images, and the state of their links."""
    folders = sorted({os.path.dirname(path) for path in examples.image_names()})
    return [[folder, _links(root / folder, root)] for folder in folders]


def _links(folder: Path, root: Path) -> str:
    """A digest of where a folder really lies, and of the links in it. A folder that is not there has none."""
    try:
        with os.scandir(folder) as entries:
            links = sorted([entry.name, os.path.realpath(entry.path)] for entry in entries if entry.is_symlink())
    except (OSError, ValueError):
        links = []
    state = json.dumps([os.path.relpath(os.path.realpath(folder), os.path.realpath(root)), links])
    return hashlib.blake2b(state.encode(), digest_size=8).hexdigest()
