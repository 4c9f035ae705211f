"""A tuned experiment in a process of its own, which kills itself at a given moment."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

# What a run needs, so that the server from which the processes are forked has it already.
import pytest
import transformers.models.roberta.modeling_roberta  # noqa: F401
from torch.utils.tensorboard import SummaryWriter  # noqa: F401

from vlrouting.experiment import load
from vlrouting.launch import phases
from vlrouting.launch.in_process import train
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.point import PointRun

BETWEEN = "between the phases"


def killed(file: Path, runs: Path, moment: str, step: int = 5) -> None:
    """Train, and die in the training of the trial or point `moment`, or between the phases."""
    patch = pytest.MonkeyPatch()
    running: list[str] = []
    run, training_step, decide = PointRun._train_and_test, TaskModule.training_step, phases.decide

    def noted(self: PointRun) -> None:
        running.append(self.point.name)
        run(self)

    def deadly_step(self: TaskModule, batch: Any, batch_index: int) -> Any:
        if running[-1] == moment and batch_index == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return training_step(self, batch, batch_index)

    def deadly_choice(*arguments: Any, **options: Any) -> Any:
        if moment == BETWEEN:
            os.kill(os.getpid(), signal.SIGKILL)
        return decide(*arguments, **options)

    patch.setattr(PointRun, "_train_and_test", noted)
    patch.setattr(TaskModule, "training_step", deadly_step)
    patch.setattr(phases, "decide", deadly_choice)
    experiment = load(str(file))
    train(experiment, experiment.points, runs)
