"""Refusing what does not fit on the disk, before anything is written."""

from __future__ import annotations

from pathlib import Path

from rich.filesize import decimal

from vlrouting.data.example import DataError
from vlrouting.experiment.disk import free_bytes, mount_point

SPARE = 16 * 2**20
"""Bytes that are left on the disk, for folders and the records."""


class NoRoom(DataError):
    """The disk is too small; nothing else can be fetched either."""


def require_room(folder: Path, need: int, what: str) -> None:
    """Check that there is room for `need` bytes.

    Raises:
        NoRoom: there is not; names the disk and both sizes.
    """
    free = free_bytes(folder)
    if need > 0 and need + SPARE > free:
        raise NoRoom(
            f"{what} needs {decimal(need)} more, but {decimal(free)} are free on the disk {mount_point(folder)}; make "
            "room there, fetch less (--split, --only), or name a folder on another disk: --root"
        )
