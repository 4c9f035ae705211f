"""Unpacking a zip archive into a folder: it can be resumed, and the archive shrinks as its contents grow.

An archive that is not kept is unpacked from its end, and each member is cut off once its contents are on disk. So the
archive and its contents together never take more room than the larger of the two and one member.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vlrouting.data.example import DataError
from vlrouting.data.fetch.archive import members_below
from vlrouting.experiment.atomic import atomically, named_errors

_CHUNK = 1 << 20
_START = struct.Struct(">Q")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, RuntimeError)
"""What `zipfile` raises for an archive that is truncated or corrupt."""


class DamagedArchive(DataError):
    """The archive has to be fetched again."""


def check_archive(path: Path, provides: Iterable[str]) -> tuple[int, int]:
    """Check that an archive can be unpacked safely, from its directory alone.

    Returns:
        Bytes that it unpacks to, and those of the largest file.

    Raises:
        DataError: it is no archive, unsafe, or holds something else.
    """
    with _opened(path) as archive:
        sizes = [member.file_size for member in members_below(archive, path, provides).values()]
    return sum(sizes), max(sizes, default=0)


def unpack(path: Path, provides: Iterable[str], folder: Path, advance: Callable[[int], None], *, keep: bool) -> int:
    """Unpack what an archive provides; what is unpacked already is checked and left.

    Args:
        path: the archive.
        provides: files and folders of it.
        folder: where they go.
        advance: is told each number of bytes that is done.
        keep: leave the archive as it is; else it is consumed, and afterwards is of no more use.

    Returns:
        Number of files.

    Raises:
        DamagedArchive: a member is not what the archive's directory says.
        DataError: the archive is unsafe.
    """
    with _opened(path) as archive:
        members = members_below(archive, path, provides)
        if not keep:
            _store_directory(path, archive.start_dir)
        for name, member in reversed(members.items()):
            target = folder / name
            if not _is_unpacked(target, member, advance):
                if not keep and member.header_offset >= path.stat().st_size:
                    raise DamagedArchive(f"{path}: {name} was unpacked and is gone; fetch it again")
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(archive, member, target, path=path, advance=advance)
            if not keep:
                os.truncate(path, min(member.header_offset, path.stat().st_size))
    return len(members)


def is_consumed(path: Path) -> bool:
    """Whether an archive is no longer whole, because unpacking it without keeping it has begun."""
    return _directory_of(path).exists()


def _write(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, *, path: Path, advance: Callable[[int], None]
) -> None:
    """Write one member. `zipfile` compares its CRC-32, and reads no byte more than the directory says."""
    written = 0
    try:
        with archive.open(member) as packed, named_errors(target), target.open("wb") as file:
            while chunk := packed.read(_CHUNK):
                file.write(chunk)
                written += len(chunk)
                advance(len(chunk))
    except _DAMAGE as error:
        target.unlink(missing_ok=True)
        raise DamagedArchive(f"{path}: is damaged at {member.filename} ({error}); fetch it again") from error
    if written != member.file_size:
        target.unlink(missing_ok=True)
        raise DamagedArchive(f"{path}: is damaged at {member.filename}, which is too short; fetch it again")


def _is_unpacked(target: Path, member: zipfile.ZipInfo, advance: Callable[[int], None]) -> bool:
    """Whether the file is there whole: after a power cut it may have its size, and not its content."""
    if not target.is_file() or target.stat().st_size != member.file_size:
        return False
    crc = 0
    with target.open("rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    if crc != member.CRC:
        return False
    advance(member.file_size)
    return True


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    stored = _directory_of(path)
    with io.BufferedReader(_ShrunkArchive(path, stored)) if stored.exists() else path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise DamagedArchive(f"{path}: is no whole zip archive ({error}); fetch it again") from error
        with archive:
            yield archive


def _directory_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.directory")


def _store_directory(path: Path, start: int) -> None:
    """Put the archive's directory, which is its end, into a file of its own, and cut it off."""
    stored = _directory_of(path)
    if not stored.exists():
        with path.open("rb") as file, atomically(stored) as temporary, temporary.open("wb") as copy:
            file.seek(start)
            copy.write(_START.pack(start))
            shutil.copyfileobj(file, copy)
    os.truncate(path, min(start, path.stat().st_size))


class _ShrunkArchive(io.RawIOBase):
    """An archive as it was: what is left of it, a gap, and its directory."""

    def __init__(self, path: Path, directory: Path) -> None:
        self._file = path.open("rb")
        stored = directory.read_bytes()
        (self._start,), self._end = _START.unpack_from(stored), stored[_START.size :]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._start + len(self._end)}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._position >= self._start:
            place = self._position - self._start
            data = self._end[place : place + len(buffer)]
        else:
            self._file.seek(self._position)
            wanted = min(len(buffer), self._start - self._position)
            data = self._file.read(wanted).ljust(wanted, b"\0")  # the gap
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
