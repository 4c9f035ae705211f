"""Pictures that a file contains, written once to a folder: named by their content, so that none is there twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from vlrouting.data.example import DataError
from vlrouting.experiment.atomic import atomically, named_errors
from vlrouting.progress_bar import say

Picture = tuple[bytes | None, str | None]
"""Content, and path: where there is no content, that of a file below the data root."""
_STARTS = (
    (b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"),
    (b"II*\0", ".tif"), (b"MM\0*", ".tif"), (b"RIFF", ".webp"),
)  # fmt: skip


def is_extracted(path: Path, folder: Path) -> bool:
    """Whether all pictures of a file are in the folder."""
    return _index(path, folder).exists()


def extracted_names(path: Path, folder: Path, pictures: Iterable[list[Picture]] = ()) -> list[list[str]]:
    """Of each row of a file the paths of its pictures, from the parent of the folder; writes those that are not there.

    An interruption leaves nothing incomplete. Of several processes one does the work, and the others wait.

    Args:
        path: the file.
        folder: for all pictures; its parent is the data root.
        pictures: of each row; read only where they are not extracted yet.

    Raises:
        DataError: the folder cannot be written to.
    """
    index = _index(path, folder)
    if not index.exists():
        try:
            folder.mkdir(exist_ok=True)
            with FileLock(folder / ".lock"), named_errors(folder):
                if not index.exists():
                    _extract(index, folder, pictures)
        except OSError as error:
            what = f"{error.filename or folder}: the pictures in {path.name} cannot be written ({error.strerror})"
            raise DataError(f"{what}; make room, or copy the table to a folder that you may write to") from error
    return _stored(index)


@lru_cache(4)
def _stored(index: Path) -> list[list[str]]:
    names: list[list[str]] = json.loads(index.read_text(encoding="utf-8"))
    return names


def _index(path: Path, folder: Path) -> Path:
    """Of a file as it is now: another size or time makes another name."""
    stat = path.stat()
    key = f"{os.path.relpath(path, folder.parent)} {stat.st_size} {stat.st_mtime_ns}"
    return folder / f"{path.stem}.{sha256(key.encode()).hexdigest()[:16]}.json"


def _extract(index: Path, folder: Path, pictures: Iterable[list[Picture]]) -> None:
    say(f"{folder}: extracting pictures, once")
    names = [[_written(folder, *picture) for picture in of_row] for of_row in pictures]
    os.sync()  # else a power cut may leave an index of pictures that are not there
    with atomically(index) as temporary:
        temporary.write_text(json.dumps(names), encoding="utf-8")


def _written(folder: Path, content: bytes | None, path: str | None) -> str:
    if not content:
        return str(path)
    ending = next((ending for start, ending in _STARTS if content.startswith(start)), ".img")
    name = sha256(content).hexdigest()[:32] + ending
    file = folder / name[:2] / name
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        unfinished = folder / ".unfinished"  # one process writes at a time
        unfinished.write_bytes(content)
        os.replace(unfinished, file)
    return f"{folder.name}/{name[:2]}/{name}"
