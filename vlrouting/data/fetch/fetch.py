"""Getting what is missing: downloaded or from the user's archives, unpacked beside the data, then moved in whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.filesize import decimal

from vlrouting.config.names import counted, listed
from vlrouting.data.example import DataError
from vlrouting.data.fetch.download import Received, Unreachable, WrongFile, download, verify
from vlrouting.data.fetch.manifest import WORK
from vlrouting.data.fetch.plan import ARCHIVES, Item, Request, plan, work_folder
from vlrouting.data.fetch.room import NoRoom, require_room
from vlrouting.data.fetch.unpack import DamagedArchive, check_archive, is_consumed, unpack
from vlrouting.experiment.atomic import named_errors, write_json_atomic
from vlrouting.progress_bar import bytes_bar, say

_RECORD = "record.json"


@dataclass(frozen=True)
class Outcome:
    """What `fetch` did."""

    items: list[Item]
    """What was wanted, as it was before."""
    fetched: list[str]
    """Paths below the root."""

    @property
    def must_be_asked_for(self) -> list[Item]:
        """What a person has to ask for."""
        return [item for item in self.items if item.must_be_asked_for]


def fetch(request: Request) -> Outcome:
    """Fetch what is wanted and not there. Several processes may do so at once: one works, the others wait.

    Raises:
        DataError: with a line for each source that could not be fetched; the others were.
        Unreachable: the same, and each may succeed later.
    """
    items = plan(request)
    fetched: list[str] = []
    if any(_can_be_fetched(item) or _is_left_over(request, item) for item in items):
        with _alone(request.root):
            items = plan(request)
            for item in items:
                if _is_left_over(request, item):
                    _finish(request, item)
            todo = [item for item in items if _can_be_fetched(item)]
            require_room(request.root, sum(_need(request, item) for item in todo), request.manifest.name)
            fetched = _fetch_all(request, todo)
    return Outcome(items, fetched)


def _can_be_fetched(item: Item) -> bool:
    return bool(item.missing) and not item.must_be_asked_for


def _is_left_over(request: Request, item: Item) -> bool:
    """Whether a process was killed after its last file was moved in."""
    return not item.missing and work_folder(request.root, item.source).exists()


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Inside of it no other process fetches into the same root."""
    (root / WORK).mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / WORK / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{root}: another process is fetching into it; waiting for its end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _need(request: Request, item: Item) -> int:
    """About how many bytes an item takes of the disk, as far as that is known."""
    if item.local is not None:
        return item.local.stat().st_size
    folder = work_folder(request.root, item.source)
    had = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    size = item.source.size or item.source.about or 0
    return max(0, size * (2 if request.keep_archives and item.source.is_archive else 1) - had)


def _fetch_all(request: Request, todo: list[Item]) -> list[str]:
    fetched: list[str] = []
    errors: dict[str, DataError] = {}
    unreachable: set[str] = set()
    for item in todo:
        try:
            _fetch_one(request, item, unreachable)
            fetched += item.missing
        except NoRoom:
            raise
        except DataError as error:
            errors[item.source.file] = error
    if errors:
        raise _all_of(errors)
    return fetched


def _all_of(errors: dict[str, DataError]) -> DataError:
    """One error of all: a line for each file, or a single one without a network."""
    later = [error for error in errors.values() if isinstance(error, Unreachable)]
    if len(later) < len(errors):
        return DataError("\n".join(map(str, errors.values())))
    if len(later) > 1 and all(error.servers for error in later):
        servers = listed(dict.fromkeys(server for error in later for server in error.servers))
        return Unreachable(
            f"{listed(errors)} cannot be downloaded, because there is no connection to {servers}; check the network (a "
            "proxy is named by HTTPS_PROXY), and run the command again: it resumes"
        )
    return Unreachable("\n".join(map(str, later)))


def _fetch_one(request: Request, item: Item, unreachable: set[str]) -> None:
    """Fetch what is missing of one source. `unreachable`: servers that were found to be so."""
    folder = work_folder(request.root, item.source)
    folder.mkdir(parents=True, exist_ok=True)
    path = item.local or folder / item.source.file
    resumed = item.local is None and is_consumed(path)
    keep = item.local is not None or (request.keep_archives and item.source.is_archive and not resumed)
    try:
        received = _received(item, folder, unreachable)
        files = _put_into(folder / "contents", item, path, keep=keep)
    except DamagedArchive:
        if item.local is None:
            shutil.rmtree(folder)
        if not resumed:
            raise
        say(f"{item.source.file}: what an earlier run left of it is of no use; fetching it again")
        return _fetch_one(request, item, unreachable)
    write_json_atomic(folder / _RECORD, {**asdict(received), "provides": item.missing, "files": files})
    _publish(folder / "contents", request.root, item.missing)
    _finish(request, item)
    say(f"{request.root}: {listed(item.missing)} ({counted(files, 'file')}) from {received.origin}")
    return None


def _received(item: Item, folder: Path, unreachable: set[str]) -> Received:
    """The complete, verified file of a source."""
    if item.local is None:
        return download(item.source, item.urls, folder, unreachable)
    try:
        sha256 = verify(item.source, item.local)
    except WrongFile as error:
        raise DataError(f"{item.local}: {error}; take it out of that folder, and it is fetched") from error
    return Received(str(item.local), item.local.stat().st_size, sha256)


def _put_into(contents: Path, item: Item, path: Path, *, keep: bool) -> int:
    """Put what is missing into a folder; returns the number of files."""
    if not item.source.is_archive:
        (target := contents / item.missing[0]).parent.mkdir(parents=True, exist_ok=True)
        with named_errors(target):
            shutil.copyfile(path, target) if keep else os.replace(path, target)
        return 1
    total, largest = check_archive(path, item.missing)
    had = sum(file.stat().st_size for file in contents.rglob("*") if file.is_file())
    require_room(contents, total - had - (0 if keep else path.stat().st_size - largest), f"unpacking {path.name}")
    with bytes_bar(f"{path.name}: unpacking {decimal(total)}", total) as advance:
        return unpack(path, item.missing, contents, advance, keep=keep)


def _finish(request: Request, item: Item) -> None:
    """Put away what is left of a source whose files are all in place."""
    folder, records = work_folder(request.root, item.source), request.root / WORK / "records"
    if (folder / _RECORD).exists():
        records.mkdir(exist_ok=True)
        os.replace(folder / _RECORD, records / f"{item.source.file}.json")
    path = folder / item.source.file
    if request.keep_archives and path.exists() and not is_consumed(path):
        (request.root / ARCHIVES).mkdir(exist_ok=True)
        os.replace(path, request.root / ARCHIVES / path.name)
    shutil.rmtree(folder)


def _publish(contents: Path, root: Path, paths: tuple[str, ...]) -> None:
    """Move complete files and folders to where readers look for them."""
    # Else a power cut may leave names without contents. One call is faster than one for each of 100,000 files.
    os.sync()
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(contents / path, root / path)
        folder = os.open((root / path).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
