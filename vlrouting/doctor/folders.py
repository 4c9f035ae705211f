"""Whether a folder, which may not be there yet, takes files, and how many bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from vlrouting.experiment.disk import free_bytes, nearest

__all__ = ["disk_of", "free_bytes", "nearest", "spelled_bytes", "write_problem"]


def write_problem(folder: Path) -> str | None:
    """Why nothing can be written there; None when a file was written (and removed)."""
    place = nearest(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".vlrouting-doctor-") as file:
            file.write(b"doctor")
            file.flush()
    except OSError as error:
        return f"nothing can be written to {folder} ({place}: {error.strerror or error})"
    return None


def disk_of(folder: Path) -> int:
    """What two folders share that are on one file system."""
    return nearest(folder).stat().st_dev


def spelled_bytes(count: float) -> str:
    """`3.2 GiB`, `40.0 MiB`, `12 KiB`."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1024:.0f} KiB"
