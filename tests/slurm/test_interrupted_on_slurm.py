"""A run that is taken off its nodes, in whatever way, ends with the weights of one that was left alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import Cluster, submit, wait_for
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.progress import read_progress

pytestmark = pytest.mark.slurm

STEPS = 300
LONG = {"max_steps": STEPS, "checkpoint_every_steps": 20, "validate_every_steps": STEPS, "log_every_steps": 10}


def wait_for_step(run: RunDirectory, step: int, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while True:
        told = read_progress(run.progress)
        if told is not None and told.phase == "training" and told.step >= step:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"{run.path}: no step {step}\n{run.log.read_text()[-3000:] if run.log.is_file() else 'no log'}")
        time.sleep(0.1)


def kill_a_rank(job: str, rank: int) -> None:
    """SIGKILL one process of a job; all nodes share this machine's processes."""
    wanted = {f"SLURM_JOB_ID={job}", f"SLURM_PROCID={rank}"}
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = set((process / "environ").read_text().split("\0"))
            command = (process / "cmdline").read_text()
        except OSError:
            continue
        if wanted <= environment and "vlrouting.launch.worker" in command and "srun" not in command:
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    assert killed == 1


def job_id(cluster: Cluster, task: str) -> str:
    """The number under which a task of an array runs."""
    return cluster.call("squeue", "-h", "-j", task, "-o", "%A").strip()


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
    (place / "short.yaml").write_text((place / "cluster.yaml").read_text().replace("'10'", "'1'").replace("30", "10"))
    runs = {name: RunDirectory(place / name / "tiny" / "default") for name in ("whole", "usr2", "requeue", "killed")}
    # With a process that loads data beside: a notice reaches all processes of a task.
    more = {"usr2": ("train.workers=1",)}
    jobs = {name: submit(cluster, place, *more.get(name, ()), "--runs", name) for name in runs}
    runs["limit"] = RunDirectory(place / "limit" / "tiny" / "default")
    jobs["limit"] = submit(cluster, place, "--runs", "limit", "--cluster", "short.yaml")

    wait_for_step(runs["usr2"], 30)
    cluster.call("scancel", "--signal=USR2", f"{jobs['usr2']}_0")
    wait_for_step(runs["requeue"], 50)
    cluster.call("scontrol", "requeue", f"{jobs['requeue']}_0")
    wait_for_step(runs["killed"], 70)
    kill_a_rank(job_id(cluster, f"{jobs['killed']}_0"), 1)

    wait_for(cluster, list(runs.values()))
    outcomes = {name: [attempt.outcome for attempt in Attempts(run.attempts).read()] for name, run in runs.items()}
    assert outcomes["whole"] == ["complete"]
    assert outcomes["usr2"] == ["preempted", "complete"]
    assert outcomes["requeue"][-1] == "complete" and len(outcomes["requeue"]) == 2
    assert outcomes["killed"][0] in ("failed", "killed") and outcomes["killed"][-1] == "complete"
    assert outcomes["limit"][0] == "preempted" and outcomes["limit"][-1] == "complete"
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
    wait_for(cluster, [run], "cancelled", 60)
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
    wait_for(cluster, [run], "failed", 240)
    error = str(run.read_run()["error"])
    assert "failed twice at step 3" in error and "cannot go on" in error
    assert "cannot go on" in cluster.vlrouting(place, "status", "tiny.yaml", "--runs", "broken")
