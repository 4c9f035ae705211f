"""A run that is taken off its nodes, in whatever way, ends with the weights of one that was left alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import PATIENCE, Cluster, submit, wait_for
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.progress import read_progress

pytestmark = pytest.mark.slurm

STEPS = 300
LONG = {"max_steps": STEPS, "checkpoint_every_steps": 20, "validate_every_steps": STEPS, "log_every_steps": 10}


def wait_until(happened: Callable[[], bool], otherwise: str) -> None:
    """The limit is there for what never happens; how long something takes depends on the machine."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(otherwise)
        time.sleep(0.1)


def wait_for_progress(run: RunDirectory, step: int | None = None) -> None:
    """Until a point is set up, or has done a step."""

    def happened() -> bool:
        told = read_progress(run.progress)
        return told is not None and (step is None or (told.phase == "training" and told.step >= step))

    wait_until(happened, f"{run.path}: no step {step}")


def wait_for_step(run: RunDirectory, step: int) -> None:
    """Until a point has done a step."""
    wait_for_progress(run, step)


def workers(job: str, rank: int) -> list[Path]:
    """The folders in /proc of a job's processes with a rank; all nodes share this machine's processes."""
    wanted, found = {f"SLURM_JOB_ID={job}", f"SLURM_PROCID={rank}"}, []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = set((process / "environ").read_text().split("\0"))
            command = (process / "cmdline").read_text()
        except OSError:
            continue
        if wanted <= environment and "vlrouting.launch.worker" in command and "python" in command.split("\0")[0]:
            found.append(process)
    return found


def kill_a_rank(job: str, rank: int) -> None:
    """SIGKILL one process of a job."""
    (process,) = workers(job, rank)
    os.kill(int(process.name), signal.SIGKILL)


def handles_a_notice(job: str, rank: int) -> bool:
    """Whether a process has installed its handler: Python itself takes seconds to start on a busy machine."""
    try:
        (process,) = workers(job, rank)
        (caught,) = (line for line in (process / "status").read_text().splitlines() if line.startswith("SigCgt:"))
    except (OSError, ValueError):  # not there yet
        return False
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGUSR2 - 1))


def job_id(cluster: Cluster, task: str) -> str:
    """The number under which a task of an array runs."""
    return cluster.call("squeue", "-h", "-j", task, "-o", "%A").strip()


def end_in_a_minute(cluster: Cluster, job: str, run: RunDirectory) -> None:
    """Lower a running job's time limit to the next whole minute, and raise it again when the point has saved.

    So the test does not depend on how long a start takes.
    """
    elapsed = cluster.call("squeue", "-h", "-j", job, "-o", "%M").strip()  # [hours:]minutes:seconds
    minutes = sum(int(part) * 60**power for power, part in enumerate(reversed(elapsed.split(":")))) // 60
    cluster.call("scontrol", "update", f"jobid={job}", f"timelimit={minutes + 1}")
    wait_until(
        lambda: Attempts(run.attempts).read()[0].outcome == "preempted", f"{run.path}: not preempted at its limit"
    )
    wait_until(lambda: has_an_hour(cluster, job), f"{job}: not queued again")


def has_an_hour(cluster: Cluster, job: str) -> bool:
    """Give a job a time limit of an hour. One that has ended and is not queued again yet takes none."""
    try:
        cluster.call("scontrol", "update", f"jobid={job}", "timelimit=60")
    except AssertionError:
        return False
    return True


def assert_same(whole: RunDirectory, run: RunDirectory) -> None:
    name = run.path.parts[-3]
    weights = "adapter_model.safetensors"
    assert (run.artifact / weights).read_bytes() == (whole.artifact / weights).read_bytes(), name
    assert run.read_metrics() == whole.read_metrics(), name
    assert run.predictions.read_text() == whole.predictions.read_text(), name
    for tag in ("train/loss", "train/lr", "test/vqa_accuracy"):
        assert curve(run, tag) == curve(whole, tag), (name, tag)
    assert not list(run.path.rglob("*.tmp")), name


def test_notice_requeue_killed_rank_and_time_limit(cluster: Cluster, folder: Callable[..., Path]) -> None:
    place = folder(plugins=["slow"], train=LONG)
    names = ("whole", "usr2", "starting", "requeue", "killed", "limit")
    runs = {name: RunDirectory(place / name / "tiny" / "default") for name in names}
    # With a process that loads data beside: a notice reaches all processes of a task.
    more = {"usr2": ("train.workers=1",)}
    jobs = {name: submit(cluster, place, *more.get(name, ()), "--runs", name) for name in runs}

    wait_for_progress(runs["starting"])  # a notice during the set-up: it waits for the first step
    starting = job_id(cluster, f"{jobs['starting']}_0")
    wait_until(lambda: handles_a_notice(starting, 0) and handles_a_notice(starting, 1), "no handler is installed")
    cluster.call("scancel", "--signal=USR2", f"{jobs['starting']}_0")
    wait_for_step(runs["usr2"], 30)
    cluster.call("scancel", "--signal=USR2", f"{jobs['usr2']}_0")
    wait_for_step(runs["requeue"], 50)
    cluster.call("scontrol", "requeue", f"{jobs['requeue']}_0")
    wait_for_step(runs["killed"], 70)
    kill_a_rank(job_id(cluster, f"{jobs['killed']}_0"), 1)
    wait_for_step(runs["limit"], 20)
    end_in_a_minute(cluster, job_id(cluster, f"{jobs['limit']}_0"), runs["limit"])

    wait_for(cluster, list(runs.values()))
    outcomes = {name: [attempt.outcome for attempt in Attempts(run.attempts).read()] for name, run in runs.items()}
    assert outcomes["whole"] == ["complete"]
    assert outcomes["usr2"] == ["preempted", "complete"]
    assert outcomes["requeue"][-1] == "complete" and len(outcomes["requeue"]) == 2
    assert outcomes["killed"][0] in ("failed", "killed") and outcomes["killed"][-1] == "complete"
    assert outcomes["limit"] == ["preempted", "complete"]
    assert outcomes["starting"] == ["preempted", "complete"]
    assert Attempts(runs["starting"].attempts).read()[-1].first_step >= 1
    assert_same(runs["whole"], runs["starting"])
    killed = Attempts(runs["killed"].attempts).read()[0]
    assert (killed.rank, killed.signal) == (1, "SIGKILL")
    for name in ("usr2", "requeue", "killed", "limit"):
        assert Attempts(runs[name].attempts).read()[-1].first_step >= 20, name  # it went on, and did not begin anew
        assert_same(runs["whole"], runs[name])


def test_a_node_that_goes_down(cluster: Cluster, folder: Callable[..., Path]) -> None:
    place = folder(plugins=["slow"], train={**LONG, "max_steps": 120, "validate_every_steps": 120})
    runs = [RunDirectory(place / name / "tiny" / "default") for name in ("whole", "down")]
    submit(cluster, place, "--runs", "whole")
    wait_for(cluster, runs[:1])
    submit(cluster, place, "--runs", "down")
    wait_for_step(runs[1], 50)
    cluster.call("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    time.sleep(3)
    # It may be back by itself: the daemon on it is alive.
    cluster.call("scontrol", "update", "nodename=n2", "state=resume", check=False)
    wait_for(cluster, runs)
    attempts = Attempts(runs[1].attempts).read()
    assert len(attempts) == 2 and attempts[1].first_step >= 20
    assert_same(*runs)


def test_cancel_ends_it_and_a_failure_that_repeats_is_given_up(cluster: Cluster, folder: Callable[..., Path]) -> None:
    place = folder(plugins=["slow", "broken"], train=LONG)
    (place / "broken.py").write_text("")
    job = submit(cluster, place, "--runs", "cancelled")
    run = RunDirectory(place / "cancelled" / "tiny" / "default")
    wait_for_step(run, 20)
    told = cluster.vlrouting(place, "status", "tiny.yaml", "--runs", "cancelled")
    assert "running" in told and f"/{STEPS}" in told
    cluster.vlrouting(place, "cancel", "tiny.yaml", "--runs", "cancelled")
    wait_for(cluster, [run], "cancelled")
    time.sleep(6)  # longer than the cluster makes a requeued job wait
    assert run.status() == "cancelled" and not set(cluster.states(job)) & {"PENDING", "RUNNING"}

    (place / "broken.py").write_text(
        "from vlrouting.tasks.scored import TaskModule\n"
        "def on_train_batch_start(self, batch, index):\n"
        "    if index == 3: raise RuntimeError('cannot go on')\n"
        "TaskModule.on_train_batch_start = on_train_batch_start\n"
    )
    submit(cluster, place, "--runs", "broken")
    run = RunDirectory(place / "broken" / "tiny" / "default")
    wait_for(cluster, [run], "failed")
    error = str(run.read_run()["error"])
    assert "failed twice at step 3" in error and "cannot go on" in error
    assert "cannot go on" in cluster.vlrouting(place, "status", "tiny.yaml", "--runs", "broken")
