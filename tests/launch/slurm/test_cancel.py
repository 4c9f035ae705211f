"""Ending what waits or runs."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch.slurm.conftest import complete
from tests.launch.slurm.fake_scheduler import FakeScheduler
from vlrouting.experiment import Experiment, RunDirectory, UserError
from vlrouting.launch import cancel as module
from vlrouting.launch.cancel import cancel
from vlrouting.launch.slurm.records import Record, is_marked_cancelled, write_record

FOLDER = Path("runs/x")
NAMES = ("routing=none", "routing=mul")
QUEUE = "7|0|PENDING|vlrouting-x|Resources\n7|1|RUNNING|vlrouting-x|None\n"


@pytest.fixture
def queued(experiment: Experiment, fake: FakeScheduler) -> FakeScheduler:
    """Both points in the queue; scancel takes them out."""
    fake.works()
    write_record(FOLDER, Record("7", "vlrouting-x", "now", NAMES, 3, "s.sbatch"))
    for name in NAMES:
        RunDirectory(FOLDER / name).update_run(status="queued")
    fake.answer("squeue", QUEUE)
    return fake


def scancel_works(fake: FakeScheduler) -> None:
    """squeue knows of nothing more once scancel was called."""
    ended = fake.folder / "ended"
    for program, line in (("scancel", f": > {ended}"), ("squeue", f"[ -e {ended} ] && exit 0")):
        text = (fake.folder / program).read_text().splitlines()
        (fake.folder / program).write_text("\n".join([*text[:2], line, *text[2:]]) + "\n")


def status(name: str) -> str | None:
    return RunDirectory(FOLDER / name).status()


def test_all(queued: FakeScheduler) -> None:
    scancel_works(queued)
    assert cancel(FOLDER) == list(NAMES)
    assert queued.called("scancel") == ["7_0 7_1"]
    assert [status(name) for name in NAMES] == ["cancelled", "cancelled"]
    assert all(is_marked_cancelled(FOLDER, name) for name in NAMES)


def test_one_point(queued: FakeScheduler) -> None:
    scancel_works(queued)
    assert cancel(FOLDER, ["routing=mul"]) == ["routing=mul"]
    assert queued.called("scancel") == ["7_1"]
    assert [status(name) for name in NAMES] == ["queued", "cancelled"]
    assert not is_marked_cancelled(FOLDER, "routing=none")


def test_a_point_that_came_to_its_end_meanwhile_stays_complete(experiment: Experiment, queued: FakeScheduler) -> None:
    scancel_works(queued)
    (FOLDER / "routing=mul" / "run.json").unlink()
    (FOLDER / "routing=mul").rmdir()
    complete(experiment, "routing=mul")
    cancel(FOLDER)
    assert [status(name) for name in NAMES] == ["cancelled", "complete"]


def test_one_that_takes_long_to_save(
    queued: FakeScheduler, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    cancel(FOLDER)
    assert "still saving: routing=none, routing=mul" in capsys.readouterr().err
    assert [status(name) for name in NAMES] == ["queued", "queued"]  # their own job says when they have ended


def test_what_is_not_there(queued: FakeScheduler) -> None:
    with pytest.raises(UserError, match=r"neither queued nor running: blind\. What is: routing=none, routing=mul\."):
        cancel(FOLDER, ["blind"])
    queued.answer("squeue")
    assert cancel(FOLDER) == []
    assert queued.called("scancel") == []


def test_a_scheduler_that_refuses(queued: FakeScheduler) -> None:
    queued.answer("squeue", status=1, error="down")
    with pytest.raises(UserError, match="squeue refused"):
        cancel(FOLDER)
    assert not any(is_marked_cancelled(FOLDER, name) for name in NAMES)
    queued.answer("squeue", QUEUE)
    queued.answer("scancel", status=1, error="not yours")
    with pytest.raises(UserError, match="not yours"):
        cancel(FOLDER)
    assert [status(name) for name in NAMES] == ["queued", "queued"]
    assert not any(is_marked_cancelled(FOLDER, name) for name in NAMES)


def announce(pid: int, host: str) -> None:
    file = FOLDER / ".sweep" / "local.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"pid": pid, "host": host}))


def test_a_local_sweep_gets_a_term(experiment: Experiment) -> None:
    code = "import time; print('here', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None and launcher.stdout.readline()
        announce(launcher.pid, socket.gethostname())
        with pytest.raises(UserError, match="ends as a whole: leave --point out"):
            cancel(FOLDER, ["routing=mul"])
        assert launcher.poll() is None
        assert str(launcher.pid) in cancel(FOLDER)[0]
        assert launcher.wait(timeout=10) == -signal.SIGTERM


def test_a_local_sweep_on_another_machine(experiment: Experiment) -> None:
    announce(1, "elsewhere")
    with pytest.raises(UserError, match=r"runs on elsewhere \(process 1\): type this there"):
        cancel(FOLDER)
