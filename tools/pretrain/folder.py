"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def refuse_taken(folder: Path) -> None:
    """Raises:
    FileExistsError: something is there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already; name a new folder, or remove it")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write to; it takes the place of `folder` when the block ends well, else it goes.

    Raises:
        FileExistsError: something is there already.
    """
    refuse_taken(folder)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    unfinished.mkdir()
    try:
        yield unfinished
        os.replace(unfinished, folder)  # an empty folder may be in the place
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
