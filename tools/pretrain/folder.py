"""Creates a folder completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def require_new(folder: Path) -> None:
    """Check that a folder does not exist, or is empty.

    Raises:
        FileExistsError: the folder contains something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already; choose a new folder, or remove it")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that is renamed to `folder` at the end of the block, or removed after an error.

    Raises:
        FileExistsError: `folder` contains something.
    """
    require_new(folder)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    unfinished.mkdir()
    try:
        yield unfinished
        os.replace(unfinished, folder)  # replaces an empty folder
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
