"""Processes that are killed for real, one of several or the only one: the message names rank and signal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment
from vlrouting.experiment import RunDirectory, UserError, load
from vlrouting.experiment.attempts import Attempts, why_not_again
from vlrouting.launch import killed, process_group
from vlrouting.launch.alive import HostProcess, is_running
from vlrouting.launch.local import run_locally
from vlrouting.launch.status import statuses

# Imported by each process: the one of a given rank kills itself in its third step.
KILLER = """
import os, signal
from vlrouting.tasks.scored import TaskModule
original = TaskModule.training_step

def training_step(self, batch, batch_index):
    if batch_index == 2 and os.environ["RANK"] == "{rank}":
        os.kill(os.getpid(), signal.{signal})
    return original(self, batch, batch_index)

TaskModule.training_step = training_step
"""


def train_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin: str, **train: object
) -> tuple[str, RunDirectory]:
    """What the launcher says of the only point, and its run directory."""
    name = f"plugin_{abs(hash((plugin, tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(plugin)
    monkeypatch.chdir(tmp_path)
    experiment = load(str(write_experiment(tmp_path, plugins=[name], train=train)))
    failed = run_locally(experiment, experiment.points, tmp_path / "runs")
    return failed.get("default", ""), RunDirectory(tmp_path / "runs" / "tiny" / "default")


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "number"), [(0, "SIGSEGV"), (1, "SIGKILL")])
def test_the_rank_that_was_killed_is_named(
    rank: int, number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, run = train_with(tmp_path, monkeypatch, KILLER.format(rank=rank, signal=number), devices=2)
    assert f"rank {rank} of 2 was killed by {number}" in said and "reset by peer" not in said
    stored = run.read_run()
    assert (stored["status"], stored["failed_rank"], stored["signal"]) == ("failed", rank, number)
    assert f"rank {rank} of 2 was killed by {number}" in str(stored["error"])
    attempt = Attempts(run.attempts).read()[-1]
    assert (attempt.outcome, attempt.rank, attempt.signal) == ("killed", rank, number)
    assert why_not_again([attempt], 3) is None
    points, _ = statuses(run.path.parent, ["default"])
    assert points[0].state == "failed" and f"rank {rank} of 2" in points[0].detail


@pytest.mark.slow
def test_an_error_of_the_second_rank_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raising = KILLER.replace("os.kill(os.getpid(), signal.{signal})", "raise RuntimeError('out of luck')")
    said, run = train_with(tmp_path, monkeypatch, raising.format(rank=1), devices=2)
    assert "rank 1: RuntimeError: out of luck" in said
    assert run.read_run()["failed_rank"] == 1 and "out of luck" in str(run.read_run()["error"])
    assert Attempts(run.attempts).read()[-1].last_step == 2  # a second failure there is the last attempt


@pytest.mark.slow
def test_a_process_that_the_system_kills_for_want_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like the kernel's own kill, whose counter stands in a file here: the machine of the tests must not run out."""
    counter = tmp_path / "memory.events"
    counter.write_text("oom 3\noom_kill 3\n")
    monkeypatch.setattr(killed, "_COUNTERS", (counter,))
    plugin = KILLER.format(rank=0, signal="SIGKILL").replace(
        "os.kill(", f"open({str(counter)!r}, 'w').write('oom 4\\noom_kill 4\\n'); os.kill("
    )
    said, run = train_with(tmp_path, monkeypatch, plugin)
    assert "killed by SIGKILL, because this machine ran out of memory" in said
    assert "train.accumulate=2" in said and "train.gradient_checkpointing=true" in said
    assert run.read_run()["signal"] == "SIGKILL"


def test_the_kernels_counter_is_read() -> None:
    count = killed.oom_kills()
    assert count is None or count >= 0
    assert not Path("/proc/vmstat").exists() or count is not None


@pytest.mark.slow
def test_the_process_that_prepares_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prepare_killer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.chdir(tmp_path)
    experiment = load(str(write_experiment(tmp_path, plugins=["prepare_killer"])))
    with pytest.raises(UserError, match="prepares data and image features was killed by SIGKILL"):
        run_locally(experiment, experiment.points, tmp_path / "runs")


def zombie() -> int:
    """A process that has ended, for whose status nobody has asked."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def test_a_process_that_has_ended_is_not_running_though_nobody_reaps_it() -> None:
    pid = zombie()
    try:
        assert not is_running(pid)
        assert HostProcess(pid, os.uname().nodename).is_alive is False
    finally:
        os.waitpid(pid, 0)
    assert is_running(os.getpid())


# A launcher that adopts orphans and never reaps them, as the first process of many containers. Its fork server is
# killed while a process works, and then that process.
ORPHANS = """
import ctypes, multiprocessing.forkserver, os, signal, time
from pathlib import Path
from vlrouting.launch import process_group

PR_SET_CHILD_SUBREAPER = 36

def work(*_):
    time.sleep(1000)

if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process_group._CONTEXT.set_forkserver_preload([])
    process_group._work = work
    group = process_group.ProcessGroup(Path(), processes=1, threads=1, environment={}, log=Path("log.txt"))
    assert group.poll() is None
    os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    time.sleep(0.5)
    assert group.poll() is None  # it still works
    pid = group._processes[0].pid
    os.kill(pid, signal.SIGKILL)
    while (end := group.poll()) is None:
        time.sleep(0.05)
    os.kill(pid, 0)  # it is still there, as a zombie
    print(end.status)
"""


def test_the_launcher_ends_though_the_fork_server_was_killed_and_nothing_reaps_orphans(tmp_path: Path) -> None:
    (tmp_path / "orphans.py").write_text(ORPHANS)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "orphans.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{process_group.LOST_STATUS}\n", done.stderr[-2000:]
