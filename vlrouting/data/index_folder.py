"""Where files lie that save reading and tokenising a second time: `.index` in the data root, or a cache of the user's.

Each of them can be removed at any time. It is written once, by the first of the processes that want it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

from vlrouting.data import INDEX_FOLDER
from vlrouting.data.array_file import ArrayFile, Arrays, DamagedFile, write_arrays
from vlrouting.experiment.atomic import TEMPORARY
from vlrouting.progress_bar import say

_LONGEST = 60
"""Characters of what a file is called after; the digests behind it tell files apart."""


class IndexName:
    """The name of an index file: for people, what it is of, and in which state that was."""

    def __init__(self, title: str, kind: str, subject: str, state: str) -> None:
        """
        Args:
            title: words for people.
            kind: suffix of the file.
            subject: what it is of. An older file of the same subject is removed.
            state: everything else that its content depends on, beside the code of this package.
        """
        words = re.sub(r"[^A-Za-z0-9_-]+", "-", title)[:_LONGEST]
        self.subject, self.kind = f"{words}-{_digest(f'{title}|{subject}', 8)}", kind
        self.file = f"{self.subject}-{_digest(f'{state}|{code_digest()}', 16)}.{kind}"

    def others(self, folder: Path) -> Iterator[Path]:
        """Files of the same subject in another state, and what killed processes left of them."""
        for path in folder.glob(f"{self.subject}-*"):
            if path.name != self.file and path.name.endswith((f".{self.kind}", TEMPORARY)):
                yield path


def opened_or_made(
    root: Path, name: IndexName, make: Callable[[], Arrays], usable: Callable[[Arrays], bool] = lambda _: True
) -> Arrays:
    """The arrays of an index file, mapped into memory; made and written first where there is none.

    Where no file can be written the arrays stay in memory, and a line says so.

    Args:
        root: the data root.
        name: of the file.
        make: gives the arrays.
        usable: whether what a file has may be used.
    """
    folders = (root / INDEX_FOLDER, cache_folder(root))
    for folder in folders:
        if (found := _opened(folder / name.file, usable)) is not None:
            return found
    reasons: list[str] = []
    for folder in folders:
        with _locked(folder / f"{name.subject}.lock", reasons) as locked:
            if not locked:
                continue
            if folder != folders[0]:
                say(f"{reasons[0]}; the index of the data is kept in {folder}")
            return _opened(folder / name.file, usable) or _made(folder, name, make)
    say(f"{'; '.join(reasons)}; no index of the data can be kept, so every start reads and tokenises them again")
    return make()


def cache_folder(root: Path) -> Path:
    """A folder of the user's for the files of a data root that is read-only."""
    from platformdirs import user_cache_path

    return user_cache_path("vlrouting") / "index" / _digest(os.path.realpath(root), 16)


def _opened(path: Path, usable: Callable[[Arrays], bool]) -> Arrays | None:
    try:
        found = ArrayFile(path)
    except OSError:  # not there, as a rule; what else is wrong with the folder is found when it is written to
        return None
    except DamagedFile as error:
        say(f"{error}; it is not used, and made again")
        return None
    return found if usable(found) else None


def _made(folder: Path, name: IndexName, make: Callable[[], Arrays]) -> Arrays:
    """Make the arrays, and write the file, under its lock."""
    made, path = make(), folder / name.file
    for other in name.others(folder):
        with suppress(OSError):
            other.unlink()
    try:
        write_arrays(path, made)
        return ArrayFile(path)
    except (OSError, DamagedFile) as error:
        say(f"{path} cannot be written ({error}); the next start reads and tokenises the data again")
        return made


@contextmanager
def _locked(path: Path, reasons: list[str]) -> Iterator[bool]:
    """Hold the lock; False, with a reason added, where the folder takes no files."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reasons.append(f"{path.parent} cannot be written ({reason})")
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@cache
def code_digest() -> str:
    """Of the code that reads, stores and tokenises examples."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _digest(text: str, digits: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=digits // 2).hexdigest()
