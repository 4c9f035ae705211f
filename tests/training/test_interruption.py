"""Signals during a run: Lightning's own handlers stay out of the way."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.launch.in_process import train
from vlrouting.tasks.scored import TaskModule
from vlrouting.training import trainer
from vlrouting.training.interruption import PREEMPTION_SIGNALS, SIGNALS, Interruption, Preempted


@pytest.mark.parametrize("environment", [LightningEnvironment(), SLURMEnvironment(auto_requeue=False)])
def test_lightning_replaces_no_handler(
    experiment: Callable[..., Experiment],
    run: Callable[..., RunDirectory],
    monkeypatch: pytest.MonkeyPatch,
    environment: LightningEnvironment | SLURMEnvironment,
) -> None:
    found: dict[str, set[object]] = {}
    monkeypatch.setattr(trainer, "cluster_environment", lambda _: environment)
    for name in ("training_step", "validation_step", "test_step"):
        original = getattr(TaskModule, name)

        def noted(*arguments: object, name: str = name, original: Callable[..., object] = original) -> object:
            handlers = [signal.getsignal(number) for number in SIGNALS]
            found.setdefault(name, set()).update(getattr(handler, "__func__", handler) for handler in handlers)
            return original(*arguments)

        monkeypatch.setattr(TaskModule, name, noted)
    run(experiment(train={"max_steps": 2, "validate_every_steps": 2}))
    assert found == {step: {Interruption._handle} for step in ("training_step", "validation_step", "test_step")}


@pytest.mark.parametrize("number", PREEMPTION_SIGNALS)
def test_a_notice_is_a_preemption(
    experiment: Callable[..., Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    training_step = TaskModule.training_step

    def noticed(self: TaskModule, batch: object, batch_index: int) -> torch.Tensor:
        os.kill(os.getpid(), number)
        return training_step(self, batch, batch_index)

    monkeypatch.setattr(TaskModule, "training_step", noticed)
    point = experiment()
    with pytest.raises(Preempted) as stopped:
        train(point, point.points, tmp_path / "runs")
    assert stopped.value.exit_status == 75
    run = RunDirectory(tmp_path / "runs" / point.name / "default")
    assert run.status() == "preempted" and run.last.is_file()
