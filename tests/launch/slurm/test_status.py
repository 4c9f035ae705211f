"""Every kind of point in the table, from its directory, the scheduler and the processes that are there."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.launch.slurm.conftest import complete
from tests.launch.slurm.fake_scheduler import FakeScheduler
from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.experiment.progress import Progress, write_progress
from vlrouting.launch.slurm.records import Record, mark_cancelled, write_record
from vlrouting.launch.status import PointStatus, show_status, statuses

FOLDER = Path("runs/x")
NAME = "routing=mul"


def is_at(run: RunDirectory, step: int = 40, updated: float | None = None, phase: str = "training") -> None:
    run.path.mkdir(parents=True, exist_ok=True)
    now = time.time() if updated is None else updated
    write_progress(run.progress, Progress(phase, step, 100, 0.25, 10.0, now))


def held_by(run: RunDirectory, pid: int, host: str | None = None) -> None:
    run.path.mkdir(parents=True, exist_ok=True)
    (run.path / ".lock.json").write_text(json.dumps({"pid": pid, "host": host or socket.gethostname()}))


@pytest.fixture
def run(experiment: Experiment, fake: FakeScheduler) -> RunDirectory:
    """A point that was submitted as 7_0."""
    write_record(FOLDER, Record("7", "vlrouting-x", "now", (NAME,), 3, "s.sbatch"))
    fake.works()
    return RunDirectory(FOLDER / NAME)


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    return process.pid


def queue(fake: FakeScheduler, state: str, reason: str = "None") -> None:
    fake.answer("squeue", f"7|0|{state}|vlrouting-x|{reason}\n")


def shown(name: str = NAME) -> tuple[str, str]:
    (found,) = [point for point in statuses(FOLDER, [])[0] if point.name == name]
    return found.state, found.detail


def test_not_started_and_complete(experiment: Experiment, fake: FakeScheduler) -> None:
    complete(experiment, "routing=none")
    points, silent = statuses(FOLDER, [point.name for point in experiment.points])
    assert points == [
        PointStatus("routing=none", "complete", "accuracy 61.25"),
        PointStatus("routing=mul", "not started"),
    ]
    assert silent == "" and fake.calls == []  # nothing was submitted, so there is nobody to ask


def test_queued_with_the_schedulers_reason(run: RunDirectory, fake: FakeScheduler) -> None:
    run.update_run(status="queued", error=None)
    queue(fake, "PENDING", "Resources")
    assert shown() == ("queued", "7_0: Resources")
    run.update_run(status="queued", error="started again after: boom")
    assert shown() == ("queued", "7_0: Resources; started again after: boom")


def test_running(run: RunDirectory, fake: FakeScheduler) -> None:
    run.update_run(status="queued")
    queue(fake, "RUNNING")
    assert shown() == ("running", "7_0: starting")
    run.update_run(status="running")
    is_at(run)
    assert shown() == ("running", "7_0: step 40/100, loss 0.25, 10 steps/s, 0:06 left")
    is_at(run, phase="testing")
    assert shown()[1].startswith("7_0: testing 40/100")


def test_running_on_this_machine(run: RunDirectory, dead: int) -> None:
    run.update_run(status="running")
    is_at(run)
    held_by(run, os.getpid())
    assert shown() == ("running", "step 40/100, loss 0.25, 10 steps/s, 0:06 left")
    held_by(run, dead)
    state, detail = shown()
    assert state == "cut off" and detail.startswith("at step 40/100; neither queued nor held by a living process")


def test_running_on_another_machine_is_believed_while_it_speaks(run: RunDirectory) -> None:
    run.update_run(status="running")
    held_by(run, 1, "elsewhere")
    is_at(run)
    assert shown()[0] == "running"
    is_at(run, updated=time.time() - 3600)
    assert shown()[0] == "cut off"


def test_a_job_that_the_scheduler_ended(run: RunDirectory, fake: FakeScheduler) -> None:
    run.update_run(status="running")
    is_at(run)
    queue(fake, "TIMEOUT")
    assert shown() == (
        "cut off",
        "at step 40/100; the scheduler ended 7_0: TIMEOUT: the same command again resumes it",
    )
    queue(fake, "CANCELLED")
    assert shown() == ("cancelled", "at step 40/100")


def test_queued_though_no_queue_knows_it(run: RunDirectory) -> None:
    run.update_run(status="queued", error=None)
    assert shown()[0] == "cut off"
    launcher = FOLDER / ".sweep" / "local.json"
    launcher.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    assert shown() == ("queued", "")


def test_preempted(run: RunDirectory, fake: FakeScheduler) -> None:
    run.update_run(status="preempted", error=None)
    is_at(run)
    queue(fake, "PENDING", "BeginTime")
    assert shown() == ("preempted", "at step 40/100, queued again as 7_0: BeginTime")
    fake.answer("squeue")
    assert shown() == ("preempted", "at step 40/100; not in the queue: the same command again resumes it")
    mark_cancelled(FOLDER, [NAME])
    assert shown() == ("cancelled", "at step 40/100")


def test_cancelled_failed_and_unreadable(run: RunDirectory) -> None:
    run.update_run(status="cancelled", error="cancelled")
    assert shown() == ("cancelled", "")
    run.update_run(status="failed", error="failed twice\nat step 5")
    assert shown() == ("failed", "failed twice at step 5")
    run.run_json.write_text("{")
    assert shown()[0] == "unreadable"


def test_a_scheduler_that_is_silent(run: RunDirectory, fake: FakeScheduler) -> None:
    """What is on disk is shown all the same."""
    fake.answer("squeue", status=1, error="down")
    run.update_run(status="running")
    is_at(run, updated=time.time() - 3600)
    held_by(run, 1, "elsewhere")
    points, silent = statuses(FOLDER, [])
    assert points[0].state == "running" and silent == "squeue refused (status 1): down"
    run.update_run(status="queued", error=None)
    assert shown() == ("queued", "")


def test_printed_whole_into_a_pipe_with_the_end_of_the_log(run: RunDirectory, dead: int) -> None:
    reason = "a reason [of many] words " * 20
    run.update_run(status="failed", error=reason)
    run.log.write_text("first\n" * 50 + "\rbar 1%\rbar 99%\nRuntimeError: [boom]\n\n")
    text = io.StringIO()
    show_status("x", ["routing=none"], Path("runs"), Console(file=text, width=1000))
    lines = text.getvalue().splitlines()
    assert any(reason.strip() in line for line in lines)
    assert any(line.split() == ["routing=none", "not", "started"] for line in lines)
    assert lines[-3:] == ["  first", "  bar 99%", "  RuntimeError: [boom]"]
    assert f"{run.log}:" in lines


def test_a_job_of_the_same_number_and_another_name_is_not_this_one(run: RunDirectory, fake: FakeScheduler) -> None:
    fake.answer("squeue", "7|0|RUNNING|vlrouting-x|None\n")
    assert shown()[0] == "running"
    fake.answer("squeue", "7|0|RUNNING|of-another-cluster|None\n")
    assert shown()[0] == "not started"
