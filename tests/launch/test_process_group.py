"""The processes of one point: when one fails, the others are stopped, and the first failure is told."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from vlrouting.launch import process_group


def end_as_rank(directory: Path, environment: Mapping[str, str], threads: int, log: Path) -> None:
    """Rank 1 fails with status 3; rank 0 waits for it for ever, and fails with status 7 when it is told to stop."""
    if environment["RANK"] == "1":
        sys.exit(3)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    time.sleep(60)


def test_the_others_are_stopped_and_the_first_failure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_group, "_CONTEXT", multiprocessing.get_context("fork"))
    monkeypatch.setattr(process_group, "_work", end_as_rank)
    group = process_group.ProcessGroup(tmp_path, processes=2, threads=1, environment={}, log=tmp_path / "log.txt")
    end = time.monotonic() + 20
    while (found := group.poll()) is None and time.monotonic() < end:
        time.sleep(0.02)
    assert found is not None and found.status == 3
    assert group._processes[0].exitcode in (7, -signal.SIGTERM)  # stopped before it had its handler, or after
