"""A real HTTP server in a thread, with faults."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class LocalServer:
    """What is served, and how badly. Faults are by path."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    """Whether `Range` is honoured."""
    etags: bool = True
    modified: str | None = None
    """`Last-Modified` of all files."""
    cuts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Path -> for each request in turn, bytes after which the connection is cut."""
    statuses: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Path -> for each request in turn, a status in place of the file."""
    pages: set[str] = field(default_factory=set)
    """Paths that are answered with a web page and status 200."""
    pause: float = 0.0
    """Seconds before every 16 KiB."""
    stalls: dict[str, int] = field(default_factory=dict)
    """Path -> bytes after which the first request gets no more."""
    lengths: bool = True
    """Whether the size is sent."""
    wrong_part: bool = False
    """Whether a range is answered with another one."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Path and `Range` of each."""
    sent: int = 0
    """Bytes of all files."""

    def ranges_of(self, path: str) -> list[str]:
        """`Range` of each request for a file."""
        return [ranged for asked, ranged in self.requests if asked == path]


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    local: LocalServer

    def do_GET(self) -> None:
        server, path, ranged = self.local, self.path.lstrip("/"), self.headers.get("Range", "")
        server.requests.append((path, ranged))
        self.close_connection = True
        status = server.statuses[path].pop(0) if server.statuses[path] else 200 if path in server.files else 404
        if path in server.pages:
            return self._answer(200, b"<!DOCTYPE html><html><body>Please log in</body></html>", {})
        if status != 200:
            return self._answer(status, b"no", {})
        content, headers = server.files[path], {}
        if server.etags:
            headers["ETag"] = etag(content)
        if server.modified is not None:
            headers["Last-Modified"] = server.modified
        match = re.fullmatch(r"bytes=(\d+)-", ranged)
        unchanged = self.headers.get("If-Range") in headers.values()
        if match is None or not server.ranges or not unchanged:
            return self._answer(200, content, headers)
        start = int(match[1]) - (10 if server.wrong_part else 0)
        if start >= len(content):
            return self._answer(416, b"", {})
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._answer(206, content[start:], headers)

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        server, path = self.local, self.path.lstrip("/")
        self.send_response(status)
        for name, value in {**headers, **({"Content-Length": str(len(content))} if server.lengths else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = server.cuts[path].pop(0) if server.cuts[path] else len(content)
        for start in range(0, cut, 1 << 14):
            if server.pause:
                time.sleep(server.pause)
            if start >= server.stalls.get(path, len(content)):
                del server.stalls[path]
                time.sleep(1.0)
                return
            piece = content[start : min(start + (1 << 14), cut)]
            try:
                self.wfile.write(piece)
            except OSError:
                return
            server.sent += len(piece)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def local_server() -> Iterator[LocalServer]:
    """A server on a free port."""
    local = LocalServer()
    handler = type("Handler", (_Handler,), {"local": local})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    local.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield local
    finally:
        server.shutdown()
        server.server_close()
