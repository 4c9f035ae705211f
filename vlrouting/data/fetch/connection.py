"""One file over HTTP into a `.part` file: resumed where it was cut, and never mixed from two versions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import Retry

from vlrouting.experiment.atomic import named_errors, write_json_atomic
from vlrouting.progress_bar import say

TIMEOUT = (15.0, 60.0)
"""Seconds to connect, and without a byte."""
TRIES, PATIENT_TRIES = 4, 12
"""In a row without a byte: seconds for a server that gave none yet, and some four minutes for one that did."""
BACKOFF, LONGEST_WAIT = 1.0, 30.0
"""Seconds between tries; doubled from the third try on."""
CHUNK, _SHORT = 1 << 18, 256
"""Bytes of a read, and of the first, which shows whether it is a web page."""
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_CUT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_CODING = "Transfer-Encoding"
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<\?xml|<head)", re.IGNORECASE)


class Refused(Exception):
    """This URL does not give the file; another may."""

    def __init__(self, reason: str, *, later: bool = False, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.later, self.unreachable = later, unreachable
        """Whether the same URL may give it later; whether its server gives no connection at all."""


class _Interrupted(Exception):
    """The transfer ended too early, or did not begin; it is tried again."""


@dataclass(frozen=True)
class Version:
    """Which version of a file the bytes of a `.part` file are of."""

    url: str
    size: int | None
    """Bytes of the whole; None if the server does not say."""
    etag: str | None = None
    modified: str | None = None

    def validator(self, url: str) -> str | None:
        """What `If-Range` compares. A date tells little, so it is trusted on the same URL only."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.modified if self.url == url else None


class PartFile:
    """The bytes that have arrived of a file, and which version of it they are of."""

    def __init__(self, path: Path) -> None:
        self.path, self._about = path, path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> Version | None:
        """None if nothing has arrived, or it is not known of what."""
        try:
            return Version(**json.loads(self._about.read_text(encoding="utf-8"))) if self.size else None
        except (OSError, ValueError, TypeError):
            return None

    def restart(self, version: Version) -> None:
        """Drop what has arrived. Its version is stored before the first byte."""
        self.remove()
        write_json_atomic(self._about, asdict(version))

    def remove(self) -> None:
        """Drop everything."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)


@dataclass(frozen=True)
class Transfer:
    """What is wanted of one URL."""

    url: str
    part: PartFile
    """What has arrived of the file before; gets the rest."""
    expected: int | None
    """Bytes of the file, if that is known for certain."""
    begin: Callable[[int | None], None]
    """Is told the size before bytes are written, and may raise."""
    advance: Callable[[int], None]
    """Is told how many bytes have arrived; a negative number if they were dropped."""
    may_restart: bool = True
    """Whether what has arrived may be dropped, if this server cannot continue it."""

    def receive(self) -> Version:
        """Receive the file completely, in as many requests as it takes.

        Raises:
            Refused: the server does not give the file, or gives something else.
            OSError: the disk.
        """
        tries, said = _tries(TRIES), ""
        with requests.Session() as session:
            while True:
                before = self.part.size
                try:
                    return self._request(session)
                except requests.exceptions.SSLError as error:
                    raise Refused("its certificate cannot be verified") from error
                except (_Interrupted, HTTPError, *_CUT) as error:
                    reason = _reason(error)
                    tries = _tries(PATIENT_TRIES) if self.part.size > before else tries
                    try:
                        tries = tries.increment(error=_Interrupted(reason))
                    except MaxRetryError:
                        raise Refused(reason, later=True, unreachable=_never_connected(error)) from error
                    if reason != said:
                        say(f"{self.url}: {reason}; trying again")
                    said = reason
                    tries.sleep()
                except requests.RequestException as error:
                    raise Refused(" ".join(str(error).split())) from error

    def _request(self, session: requests.Session) -> Version:
        """One request, for all that has not arrived."""
        headers, old = {"Accept-Encoding": "identity"}, self.part.version
        if old is not None and old.size == self.part.size:
            return old
        validator = old.validator(self.url) if old is not None else None
        if validator is not None:
            headers |= {"Range": f"bytes={self.part.size}-", "If-Range": validator}
        with session.get(self.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            version = _version(response, self.url)
            if self.expected is not None and version.size not in (None, self.expected):
                raise Refused(f"gives {version.size:,} bytes, not the {self.expected:,} of the manifest")
            if version.size is None and self.expected is None and "chunked" not in response.headers.get(_CODING, ""):
                raise Refused("does not say how long the file is, so that a cut could not be told")
            if not self._is_rest(response, old, version):
                if self.part.size and not self.may_restart:
                    raise Refused("cannot continue what came from another server", later=True)
                if self.part.size:
                    say(f"{self.url}: cannot be resumed, or has changed; starting from its first byte")
                self.advance(-self.part.size)
                self.part.restart(version)
            self.begin(version.size)
            self._write(response)
        size = version.size or self.expected
        if size is not None and self.part.size != size:
            raise _Interrupted(f"the connection was cut after {self.part.size:,} of {size:,} bytes")
        return version

    def _write(self, response: requests.Response) -> None:
        path = self.part.path
        with named_errors(path), path.open("ab") as file:
            if not file.tell():
                self._write_chunk(file, response.raw.read(_SHORT, decode_content=False))
            # What has arrived, however little: the bytes before a cut are not lost.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                self._write_chunk(file, chunk)
            file.flush()
            os.fsync(file.fileno())

    def _write_chunk(self, file: BinaryIO, chunk: bytes) -> None:
        if file.tell() == 0 and _PAGE.match(chunk):
            raise Refused("answers with a web page, not with the file")
        file.write(chunk)
        self.advance(len(chunk))

    def _is_rest(self, response: requests.Response, old: Version | None, new: Version) -> bool:
        """Whether a server sends what has not arrived; else it sends the whole, of perhaps another version."""
        if response.status_code == 200:
            return False
        place = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = old is not None and (old.size, old.etag) == (new.size, new.etag)
        if place is None or int(place[1]) != self.part.size or not same:
            self.advance(-self.part.size)
            self.part.remove()
            raise _Interrupted("sent another part than the one that was asked for")
        return True


def _version(response: requests.Response, url: str) -> Version:
    """Which version of the file a server gives."""
    status, headers = response.status_code, response.headers
    if status in _TEMPORARY:
        raise _Interrupted(f"{status} {response.reason}")
    if status not in (200, 206):  # 416 too: its bytes are gone, or of another version
        raise Refused(f"{status} {response.reason}")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise Refused(f"sends the file encoded ({headers['Content-Encoding']}), which was not asked for")
    size: int | None = None
    if status == 206:
        place = _RANGE.fullmatch(headers.get("Content-Range", ""))
        size = int(place[2]) if place else None
    elif headers.get("Content-Length", "").isdecimal():
        size = int(headers["Content-Length"])
    return Version(url, size, headers.get("ETag"), headers.get("Last-Modified"))


def _never_connected(error: Exception) -> bool:
    """Whether the server could not be reached, so that asking it for another file is of no use either."""
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _reason(error: Exception) -> str:
    """In a few words: the messages of the libraries name their own objects."""
    if isinstance(error, _Interrupted):
        return str(error)
    if _never_connected(error):
        return "no connection"
    return "no answer in time" if isinstance(error, requests.Timeout) else "the connection was cut"


def _tries(most: int) -> Retry:
    return Retry(total=most - 1, backoff_factor=BACKOFF, backoff_max=LONGEST_WAIT)
