"""A real file system of a given size, for tests that fill it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs at `folder`; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or mount(folder, f"size={size}"):
        pytest.skip("this machine lets nobody but root mount a file system, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, options: str) -> int:
    """The exit status of `mount`."""
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode


def remount(folder: Path, options: str) -> None:
    """Change the size, or make it read-only with `ro`."""
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Write a file that takes all of the disk but `leave` bytes."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as opened:
        stat = os.statvfs(folder)
        opened.write(bytes(max(0, stat.f_bavail * stat.f_frsize - leave)))
    return file
