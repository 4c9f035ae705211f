"""A run that is cut off, at whatever moment, ends with the weights of one that was not: bit for bit."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.command_line import vlrouting
from tests.tiny_experiment import write_experiment
from tests.training.event_curves import curve
from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.launch.in_process import train
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.interruption import Cancelled

STEPS = 10


def weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    return load_file(run.artifact / "adapter_model.safetensors")


def assert_same(one: RunDirectory, other: RunDirectory) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    assert one.predictions.read_text() == other.predictions.read_text()
    assert one.read_metrics() == other.read_metrics()


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send this process the signal in the middle of one training step, once."""
    training_step = TaskModule.training_step
    sent = []

    def interrupted(self: TaskModule, batch: object, batch_index: int) -> torch.Tensor:
        if batch_index == step and not sent:
            sent.append(True)
            os.kill(os.getpid(), number)
        return training_step(self, batch, batch_index)

    monkeypatch.setattr(TaskModule, "training_step", interrupted)


@pytest.fixture
def uninterrupted(
    experiment: Callable[..., Experiment], run: Callable[..., RunDirectory]
) -> tuple[Experiment, RunDirectory]:
    point = experiment(evaluate={"checkpoint": "best"})
    return point, run(point, "whole")


def test_stopped_in_every_step(
    uninterrupted: tuple[Experiment, RunDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, whole = uninterrupted
    for step in range(STEPS):
        runs = tmp_path / f"stopped-{step}"
        stop_at(monkeypatch, step, signal.SIGTERM if step % 2 else signal.SIGINT)
        with pytest.raises(Cancelled):
            train(experiment, experiment.points, runs)
        cut = RunDirectory(runs / experiment.name / "default")
        assert cut.status() == "cancelled"
        assert not cut.is_complete()
        assert train(experiment, experiment.points, runs) == {}
        assert cut.is_complete()
        assert_same(whole, cut)
        for tag in ("train/loss", "train/lr", "validation/vqa_accuracy"):
            assert curve(cut, tag) == curve(whole, tag), f"{tag}, stopped in step {step}"


@pytest.mark.parametrize("accumulate", [1, 2])
def test_stopped_with_accumulation_and_over_an_epochs_end(
    experiment: Callable[..., Experiment],
    run: Callable[..., RunDirectory],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accumulate: int,
) -> None:
    # 48 questions in batches of 8: six batches an epoch, so the run goes over several epochs.
    point = experiment(f"train.accumulate={accumulate}", data={"validation": None}, train={"max_steps": 8})
    whole = run(point, "whole")
    for batch in (3, 5, 6, 7):
        stop_at(monkeypatch, batch, signal.SIGTERM)
        with pytest.raises(Cancelled):
            train(point, point.points, tmp_path / f"cut-{batch}")
        cut = run(point, f"cut-{batch}")
        assert_same(whole, cut)


def test_ctrl_c_saves_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_experiment(tmp_path)
    stop_at(monkeypatch, 5, signal.SIGINT)
    stopped = vlrouting("train", "tiny.yaml", cwd=tmp_path)
    assert stopped.returncode == 130
    assert "stopped by SIGINT" in stopped.stderr and "again" in stopped.stderr  # says how to go on
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    assert run.status() == "cancelled" and run.last.is_file()
    assert vlrouting("train", "tiny.yaml", cwd=tmp_path).returncode == 0
    assert run.is_complete()
