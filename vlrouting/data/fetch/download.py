"""One source into a folder: from the first of its servers that gives it, complete and verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vlrouting.data.example import DataError
from vlrouting.data.fetch.connection import PartFile, Refused, Transfer, Version
from vlrouting.data.fetch.manifest import Source
from vlrouting.data.fetch.room import require_room
from vlrouting.data.fetch.unpack import check_archive
from vlrouting.experiment.atomic import write_json_atomic
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.json_file import read_object
from vlrouting.progress_bar import bytes_bar, say

_CHUNK = 1 << 20


class Unreachable(DataError):
    """No server gave the file just now; the same command may succeed later, and resumes."""

    servers: tuple[str, ...] = ()
    """The servers of the file, where none gave a connection."""


class WrongFile(Exception):
    """A file is not what the manifest says; the message is without its name."""


@dataclass(frozen=True)
class Received:
    """What is known of a complete file."""

    origin: str
    """URL or path."""
    size: int
    sha256: str


def download(source: Source, urls: Sequence[str], folder: Path, unreachable: set[str]) -> Received:
    """Download a file into `folder`, unless it is there already.

    Args:
        source: what to download.
        urls: tried in this order.
        folder: of the file, which is called `source.file` once it is complete and verified.
        unreachable: servers that are not asked again; those that give no connection are added.

    Raises:
        Unreachable: some server may give it later.
        DataError: no server gives it.
    """
    path, record = folder / source.file, folder / "received.json"
    if path.exists():
        try:
            return Received(**read_object(record))
        except (UserError, TypeError):  # nobody but a user changes it
            path.unlink()
    part = PartFile(folder / f"{source.file}.part")
    before = part.size
    refused: dict[str, Refused | WrongFile] = {}
    for url in urls:
        server = urlsplit(url).netloc
        if server in unreachable:
            refused[url] = Refused("no connection", later=True)
            continue
        try:
            # What a server has just begun to give is not dropped for another: the same command continues it later.
            version = _receive(source, url, part, may_restart=part.size <= before)
            received = Received(version.url, part.size, verify(source, part.path))
        except (Refused, WrongFile) as error:
            say(f"{url}: {error}")
            if isinstance(error, WrongFile):
                part.remove()
            elif error.unreachable:
                unreachable.add(server)
            refused[url] = error
            continue
        write_json_atomic(record, asdict(received))
        os.replace(part.path, path)
        part.remove()
        return received
    text = "; ".join(f"{url}: {error}" for url, error in refused.items())
    message = f"{source.file} cannot be downloaded ({text}); "
    if not any(isinstance(error, Refused) and error.later for error in refused.values()):
        raise DataError(f"{message}get it elsewhere, and name its folder: --from")
    problem = Unreachable(f"{message}run the command again later, and it resumes")
    servers = dict.fromkeys(urlsplit(url).netloc for url in urls)
    problem.servers = tuple(servers) if set(servers) <= unreachable else ()
    raise problem


def _receive(source: Source, url: str, part: PartFile, *, may_restart: bool) -> Version:
    def begin(size: int | None) -> None:
        require_room(part.path.parent, (size or source.about or 0) - part.size, source.file)

    size = source.size or (part.version.size if part.version else source.about)
    with bytes_bar(source.file, size, part.size) as advance:
        return Transfer(url, part, source.size, begin, advance, may_restart).receive()


def verify(source: Source, path: Path) -> str:
    """Compare a complete file with what the manifest says of it; of an archive also that it can be unpacked safely.

    Returns:
        Its SHA-256.

    Raises:
        WrongFile: it is not.
    """
    size = path.stat().st_size
    if source.size not in (None, size):
        raise WrongFile(f"has {size:,} bytes, not the {source.size:,} of the manifest")
    hashes = {"sha256": hashlib.sha256()} | ({"md5": hashlib.md5(usedforsecurity=False)} if source.md5 else {})
    with bytes_bar(f"{source.file}: verifying", size) as advance, path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for each in hashes.values():
                each.update(chunk)
            advance(len(chunk))
    for name, value in hashes.items():
        if getattr(source, name) not in (None, value.hexdigest()):
            raise WrongFile(f"has the {name} {value.hexdigest()}, not that of the manifest: other or damaged bytes")
    if source.is_archive:
        try:
            check_archive(path, source.provides)
        except DataError as error:
            raise WrongFile(str(error).removeprefix(f"{path}: ")) from error
    return hashes["sha256"].hexdigest()
