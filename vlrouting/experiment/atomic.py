"""Files that are there whole or not at all, however the process ends."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".tmp"


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well, else it goes.

    A process that is killed outright leaves it behind: `sweep_temporary` removes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with named_errors(path):
            yield temporary
            with temporary.open("r+b") as file:
                # Else a power cut may leave the new name with nothing behind it.
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # of a disk that is read-only by now
            temporary.unlink()


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """An OSError of the block that names no file, such as that of a full disk, gets the name of this one."""
    try:
        yield
    except OSError as error:
        if error.errno and (error.filename is None or str(error.filename).endswith(TEMPORARY)):
            error.filename = str(path)
        raise


def write_text_atomic(path: Path, text: str) -> None:
    """Writes UTF-8 text."""
    with atomically(path) as temporary:
        # A file name that is no UTF-8 may be part of an error message.
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def write_json_atomic(path: Path, value: object) -> None:
    """Writes indented JSON.

    Raises:
        TypeError: the value has no JSON form; the file stays as it was.
    """
    write_text_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sweep_temporary(folder: Path) -> None:
    """Removes what killed processes left unfinished, below the folder too. Nothing else may be writing there."""
    for leftover in list(folder.rglob(f"*{TEMPORARY}")):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
