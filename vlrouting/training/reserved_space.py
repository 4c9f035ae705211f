"""A file that takes up room on the disk of a run directory, so that the reason of a failure fits on a full disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vlrouting.experiment.atomic import TEMPORARY, named_errors

RESERVED_BYTES = 2**16
"""Enough for run.json, attempts.jsonl and progress.json."""


@contextmanager
def reserved_space(folder: Path) -> Iterator[Callable[[], None]]:
    """Take up room in a folder; the block gets the function that frees it.

    Raises:
        OSError: there is no room.
    """
    file = folder / f"reserved{TEMPORARY}"

    def free() -> None:
        with suppress(OSError):
            file.unlink()

    try:
        with named_errors(file):
            file.write_bytes(os.urandom(RESERVED_BYTES))  # random: some file systems store no zeros
        yield free
    finally:
        free()
