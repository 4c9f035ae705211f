"""A fetch that is killed, that finds the disk full, or that is not alone: nothing half-done is taken for complete."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Done, vlrouting
from tests.data.fetch.local_server import LocalServer
from tests.data.fetch.made_archives import PICTURES, files_below, source, write_manifest, zip_bytes
from tests.faults.small_disk import small_disk
from vlrouting.data.fetch import connection, room
from vlrouting.data.fetch.fetch import fetch
from vlrouting.data.fetch.manifest import read_manifest
from vlrouting.data.fetch.plan import Request

MEMBERS = {**dict(list(PICTURES.items())[:3]), "val2014/a.jpg": b"a" * 999, "left/out.json": b"{}"}
WANTED = {name: data for name, data in MEMBERS.items() if not name.startswith("left")}
ARCHIVE = zip_bytes(MEMBERS, zipfile.ZIP_STORED)
LISTS = b'[{"a": 1}]' * 3000


@pytest.fixture
def manifest(server: LocalServer, tmp_path: Path) -> Path:
    server.files |= {"images.zip": ARCHIVE, "lists.json": LISTS}
    folders = {name: ["train2014"] for name in ("train2014", "val2014")}
    return write_manifest(
        tmp_path / "manifest.yaml",
        source(f"{server.url}/images.zip", ARCHIVE, folders),
        source(f"{server.url}/lists.json", LISTS, {"lists.json": ["train2014"]}, kind="annotations"),
    )


EVENTS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("replace", "truncate", "fsync", "sync", "unlink")),
    *((shutil, name) for name in ("copyfileobj", "copyfile", "rmtree")),
    (zipfile.ZipFile, "open"),
    (connection.PartFile, "restart"),
    (connection.Transfer, "_write_chunk"),
)
"""What changes the disk; a process is killed before one of them."""


def in_process(action: Callable[[], object], before: Callable[[], object] = lambda: None) -> multiprocessing.Process:
    """A forked process that has begun."""

    def run() -> None:
        sys.stderr = sys.stdout = io.StringIO()
        before()
        action()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def kill_before(event: int) -> None:
    """Make this process kill itself before one of `EVENTS`, counted from 0."""
    left = event

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return function(*arguments, **options)

        return call

    for owner, name in EVENTS:
        setattr(owner, name, counted(getattr(owner, name)))


def check_what_readers_see(root: Path) -> None:
    """Each file or folder is there whole or not at all."""
    found = files_below(root)
    for folder in ("train2014", "val2014"):
        if (root / folder).exists():
            assert {name for name in WANTED if name.startswith(folder)} <= found.keys()
    assert all(data == WANTED.get(name, LISTS) for name, data in found.items())


@pytest.mark.slow
def test_killed_before_any_change_of_the_disk(
    manifest: Path, server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sync", "fsync"):  # they take long where others write
        monkeypatch.setattr(os, name, lambda *_: None)
    request = Request(read_manifest(manifest), tmp_path / "root")
    event = 0
    while True:
        process = in_process(lambda: fetch(request), lambda: kill_before(event))  # noqa: B023 - runs in this turn
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL, event
        check_what_readers_see(request.root)
        fetch(request)
        assert files_below(request.root) == {**WANTED, "lists.json": LISTS}, event
        assert not any((request.root / ".fetch" / "unfinished").iterdir()), event
        assert len(list((request.root / ".fetch" / "records").iterdir())) == 2, event
        shutil.rmtree(request.root)
        event += 1
    assert event > 30


def test_killed_at_random_until_it_is_done(manifest: Path, server: LocalServer, tmp_path: Path) -> None:
    request = Request(read_manifest(manifest), tmp_path / "root")
    server.pause, draw, kills = 0.002, random.Random(0), 0
    while True:
        process = in_process(lambda: fetch(request))
        process.join(draw.uniform(0.0, 0.02 + 0.004 * kills))
        if process.exitcode == 0:
            break
        process.kill()
        process.join()
        kills += 1
        check_what_readers_see(request.root)
    assert kills > 2 and files_below(request.root) == {**WANTED, "lists.json": LISTS}


def test_killed_while_unpacking_downloads_nothing_again(manifest: Path, server: LocalServer, tmp_path: Path) -> None:
    request = Request(read_manifest(manifest), tmp_path / "root")
    process = in_process(lambda: fetch(request), lambda: setattr(zipfile.ZipFile, "open", killed_itself))
    process.join()
    assert process.exitcode == -signal.SIGKILL and len(server.ranges_of("images.zip")) == 1
    fetch(request)
    assert len(server.ranges_of("images.zip")) == 1
    assert files_below(request.root) == {**WANTED, "lists.json": LISTS}


def killed_itself(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_choice_that_changes_after_a_kill(manifest: Path, server: LocalServer, tmp_path: Path) -> None:
    """What was cut off the archive unused is wanted now, so it is fetched again."""
    narrow = Request(read_manifest(manifest), tmp_path / "root", files=("train2014",))
    process = in_process(lambda: fetch(narrow), lambda: setattr(os, "sync", killed_itself))
    process.join()
    assert process.exitcode == -signal.SIGKILL and not (narrow.root / "train2014").exists()
    fetch(Request(narrow.manifest, narrow.root))
    assert files_below(narrow.root) == {**WANTED, "lists.json": LISTS}
    assert len(server.ranges_of("images.zip")) == 2


def test_ctrl_c_says_how_to_resume(manifest: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection.Transfer, "_write_chunk", interrupt)
        done = command(manifest)
    assert done.returncode == 130 and "the same command resumes" in done.stderr.splitlines()[-1]
    assert command(manifest).returncode == 0


def test_two_at_once_fetch_once(manifest: Path, server: LocalServer, tmp_path: Path) -> None:
    request = Request(read_manifest(manifest), tmp_path / "root")
    server.pause = 0.1
    first = in_process(lambda: fetch(request))
    while not server.requests:
        time.sleep(0.005)
    done = command(manifest)
    first.join()
    assert first.exitcode == 0 and done.returncode == 0, done.stderr
    assert "another process is fetching" in done.stderr
    assert sorted(path for path, _ in server.requests) == ["images.zip", "lists.json"]
    assert files_below(request.root) == {**WANTED, "lists.json": LISTS}


def command(manifest: Path, *options: str | Path, root: Path | None = None) -> Done:
    root = root if root is not None else manifest.parent / "root"
    done = vlrouting("data", "fetch", "coco", "--manifest", manifest, "--root", root, *options)
    assert "Traceback" not in done.stderr
    return done


def test_a_disk_that_is_too_small_is_refused_before_anything_is_asked(manifest: Path, server: LocalServer) -> None:
    with small_disk(manifest.parent / "small", "1m") as disk:
        done = command(manifest, root=disk / "root")
        assert done.returncode == 2 and f"free on the disk {disk}" in done.stderr and "--only" in done.stderr
        assert not server.requests and files_below(disk) == {}


def test_the_size_that_a_server_names_counts_too(server: LocalServer, tmp_path: Path) -> None:
    """And no other file is asked for then."""
    server.files |= {"lists.json": LISTS, "more.json": LISTS}
    sources = [source(f"{server.url}/{name}", None, {name: ["train2014"]}, kind="annotations") for name in server.files]
    manifest = write_manifest(tmp_path / "m.yaml", *sources)
    with small_disk(tmp_path / "small", "1m") as disk:
        done = command(manifest, root=disk / "root")
        assert done.returncode == 2 and f"free on the disk {disk}" in done.stderr and len(server.requests) == 1
        assert files_below(disk) == {}


@pytest.mark.parametrize("size", ["12k", "24k", "36k"])
def test_a_disk_that_fills_up_is_named_and_the_rest_is_fetched_later(
    size: str, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(manifest.parent / "small", "20m") as disk:
        (filler := disk / "filler").write_bytes(bytes(20 * 2**20 - 1024 * int(size[:-1])))
        with monkeypatch.context() as patch:
            patch.setattr(room, "free_bytes", lambda _: 2**40)
            done = command(manifest, root=disk / "root")
            assert done.returncode == 2 and f"the disk {disk} is full" in done.stderr
            check_what_readers_see(disk / "root")
            filler.unlink()
            assert command(manifest, root=disk / "root").returncode == 0
        assert files_below(disk / "root") == {**WANTED, "lists.json": LISTS}
