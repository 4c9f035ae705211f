"""Errors of a disk that only the user can mend, such as a full one: which disk it is, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LASTING = {*FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
"""What a user must mend; a network disk that does not answer may do so the next time."""


def is_lasting(error: OSError) -> bool:
    """Whether trying again would only repeat it."""
    return error.errno in _LASTING


def disk_error_text(error: OSError, folders: Iterable[Path]) -> str:
    """What is wrong with which disk, and what to do.

    Args:
        error: of reading or writing.
        folders: where the process writes. They are asked when the error names no file: the fullest disk is the one.
    """
    path = _path_of(error)
    reason = error.strerror or str(error)
    if error.errno not in FULL:
        named = f": {path}" if path is not None else ""
        read_only = error.errno == errno.EROFS
        return f"{reason}{named}" + ("; mount the disk for writing, or name another folder" if read_only else "")
    disk = mount_point(path if path is not None else min(folders, key=free_bytes, default=Path.cwd()))
    writing = f", while writing {path}" if path is not None else ""
    return f"the disk {disk} is full ({reason}{writing}): make room there, see `df -h {disk}`"


def nearest(path: Path) -> Path:
    """The path, or the first folder above it that exists."""
    path = path.absolute()
    return next((place for place in (path, *path.parents) if place.exists()), Path(path.anchor))


def mount_point(path: Path) -> Path:
    """Where the disk is mounted that holds a path, which need not exist."""
    place = nearest(path).resolve()
    while not os.path.ismount(place):
        place = place.parent
    return place


def free_bytes(path: Path) -> int:
    """Bytes that a user may still write there."""
    return shutil.disk_usage(nearest(path)).free


def _path_of(error: OSError) -> Path | None:
    name = error.filename
    return Path(os.fsdecode(name)) if isinstance(name, (str, bytes, os.PathLike)) else None
