"""Several points at once on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from tests.tiny_experiment import write_experiment
from tests.training.event_curves import curve
from vlrouting.config import ExperimentConfig, TrainConfig
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, load
from vlrouting.experiment.attempts import Attempts
from vlrouting.launch import process_group
from vlrouting.launch.in_process import train
from vlrouting.launch.local import Slot, run_locally, slots_of

SWEEP = {"sweep": {"grid": {"bottleneck.routing": ["none", "mul"]}}}


def points(count: int, **settings: int) -> list[Point]:
    config = ExperimentConfig(train=TrainConfig(max_steps=1, **settings))
    return [Point(str(number), config, {}) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "devices", "gpus", "cores", "at_once", "expected"),
    [
        (6, 1, 0, 2, None, [Slot((), 1), Slot((), 1)]),
        (1, 1, 0, 8, None, [Slot((), 8)]),
        (3, 2, 0, 8, None, [Slot((), 1)] * 3),
        (6, 1, 0, 8, 2, [Slot((), 4), Slot((), 4)]),
        (4, 4, 0, 2, None, [Slot((), 1)]),
        (6, 1, 2, 16, None, [Slot((0,), 8), Slot((1,), 8)]),
        (6, 2, 5, 16, None, [Slot((0, 1), 4), Slot((2, 3), 4)]),
    ],
)
def test_the_machine_is_shared_out(
    count: int, devices: int, gpus: int, cores: int, at_once: int | None, expected: list[Slot]
) -> None:
    assert slots_of(points(count, devices=devices), gpus, cores, at_once) == expected


def test_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"train\.devices: 4 GPUs are asked for, and there are 2"):
        slots_of(points(1, devices=4), 2, 8, None)
    with pytest.raises(UserError, match=r"train\.nodes: this is one machine"):
        slots_of(points(1, nodes=2), 0, 8, None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    assert Slot((1, 2), 1).environment() == {"CUDA_VISIBLE_DEVICES": "6,7"}


def test_groups_that_start_at_once_have_different_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[dict[str, str]] = []

    class Process:
        exitcode, pid = None, None

        def __init__(self, target: object, args: tuple[Path, dict[str, str], int, Path]) -> None:
            started.append(args[1])

        def start(self) -> None:
            pass

    monkeypatch.setattr(process_group._CONTEXT, "Process", Process)
    groups = [
        process_group.ProcessGroup(tmp_path, processes=2, threads=1, environment={}, log=tmp_path / "log.txt")
        for _ in range(20)
    ]
    ports = [variables["MASTER_PORT"] for variables in started]
    assert len(ports) == 2 * len(groups) and len(set(ports)) == len(groups)
    assert all(ports[i] == ports[i + 1] for i in range(0, len(ports), 2))


@pytest.mark.slow
def test_two_groups_of_two_processes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlrouting.launch.local.cores", lambda: 4)
    experiment = load(str(write_experiment(tmp_path, train={"devices": 2}, **SWEEP)))
    assert run_locally(experiment, experiment.points, tmp_path / "runs", at_once=2) == {}
    assert all(RunDirectory(tmp_path / "runs" / experiment.name / p.name).is_complete() for p in experiment.points)


@pytest.mark.slow
def test_a_sweep_at_once_equals_one_point_after_the_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    experiment = load(str(write_experiment(tmp_path, **SWEEP)))
    assert run_locally(experiment, experiment.points, tmp_path / "at once") == {}
    told = capfd.readouterr().err
    assert "[2/2]" in told and "Traceback" not in told
    assert train(experiment, experiment.points, tmp_path / "in turn") == {}
    for point in experiment.points:
        a, b = (RunDirectory(tmp_path / runs / experiment.name / point.name) for runs in ("at once", "in turn"))
        assert a.read_metrics() == b.read_metrics()
        assert (a.artifact / "adapter_model.safetensors").read_bytes() == (
            b.artifact / "adapter_model.safetensors"
        ).read_bytes()
        assert curve(a, "train/loss") == curve(b, "train/loss")
        assert a.read_run()["swept"] == {"bottleneck.routing": point.config.bottleneck.routing}
        assert [attempt.outcome for attempt in Attempts(a.attempts).read()] == ["complete"]
    assert run_locally(experiment, experiment.points, tmp_path / "at once") == {}
    assert "2 points, 2 complete" in capfd.readouterr().err


# Imported by the point's own process: one of the two points goes wrong.
SPOILER = """
import os, signal
from vlrouting.tasks.scored import TaskModule
original = TaskModule.on_train_start

def spoiled(self):
    if any(bottleneck.config.routing == "mul" for bottleneck in self.model.routed.bottlenecks.values()):
        {deed}
    original(self)

TaskModule.on_train_start = spoiled
"""


def spoiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, name: str) -> Experiment:
    (tmp_path / f"{name}.py").write_text(SPOILER.format(deed=deed))
    monkeypatch.chdir(tmp_path)
    return load(str(write_experiment(tmp_path, plugins=[name], **SWEEP)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "deed", "reason"),
    [
        ("raises", "raise RuntimeError('out of luck')", "RuntimeError: out of luck"),
        ("dies", "os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
)
def test_a_point_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, deed: str, reason: str
) -> None:
    experiment = spoiled(tmp_path, monkeypatch, deed, name)
    failed = run_locally(experiment, experiment.points, tmp_path / "runs", at_once=1)
    runs = tmp_path / "runs" / experiment.name
    assert list(failed) == ["routing=mul"] and reason in failed["routing=mul"] and "log.txt" in failed["routing=mul"]
    assert RunDirectory(runs / "routing=none").is_complete()
    stored = RunDirectory(runs / "routing=mul").read_run()
    assert stored["status"] == "failed" and reason in str(stored["error"])


@pytest.mark.slow
def test_a_mistake_of_the_user_ends_the_sweep_in_a_sentence(tmp_path: Path) -> None:
    experiment = load(str(write_experiment(tmp_path, **SWEEP)))
    picture = next((tmp_path / "data" / "train2014").iterdir())
    picture.write_bytes(b"no picture")
    with pytest.raises(UserError, match="cannot start"):  # found while the features are made, and printed there
        run_locally(experiment, experiment.points, tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("tiny/*/run.json"))  # nothing is left that looks queued


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vlrouting.cli", "sweep", "tiny.yaml", "--launcher", "local"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # In a group of its own, as a terminal starts it.
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_until(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def training(folder: Path) -> Mapping[str, int]:
    """Step of each point that trains."""
    found = {}
    for file in folder.glob("runs/tiny/*/progress.json"):
        told = json.loads(file.read_text())
        if told["phase"] == "training" and told["step"] > 0:
            found[file.parent.name] = told["step"]
    return found


LONG = {"max_steps": 4000, "validate_every_steps": 4000, "checkpoint_every_steps": 4000}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_saves_all_points_and_says_so(tmp_path: Path, number: signal.Signals) -> None:
    write_experiment(tmp_path, train=LONG, **SWEEP)
    launcher = start(tmp_path)
    wait_until(lambda: len(training(tmp_path)) > 0)
    os.killpg(launcher.pid, number)  # Ctrl-C reaches every process of the group
    _, errors = launcher.communicate(timeout=90)
    assert launcher.returncode == 128 + number, errors[-2000:]
    assert "Traceback" not in errors and f"stopped by {number.name}" in errors
    for name in training(tmp_path):
        run = RunDirectory(tmp_path / "runs" / "tiny" / name)
        assert run.status() == "cancelled" and run.last.is_file()
        assert Attempts(run.attempts).read()[0].last_step == torch.load(run.last, weights_only=True)["global_step"]
    assert not (tmp_path / "runs" / "tiny" / ".sweep" / "local.json").exists()


@pytest.mark.slow
def test_points_stop_when_their_launcher_is_killed(tmp_path: Path) -> None:
    write_experiment(tmp_path, train=LONG, **SWEEP)
    launcher = start(tmp_path)
    wait_until(lambda: len(training(tmp_path)) > 0)
    launcher.kill()
    launcher.wait()
    names = training(tmp_path)
    runs = [RunDirectory(tmp_path / "runs" / "tiny" / name) for name in names]
    wait_until(lambda: all(run.status() == "cancelled" for run in runs), 60)
    assert all(run.last.is_file() for run in runs)
