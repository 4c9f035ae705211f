"""TensorBoard's curves, written before the checkpoint of the same step, so that a resumed run has no gap in them.

Steps are optimizer steps, counted from 1.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning import Callback, Trainer

from vlrouting.data.loading.batch import Batch
from vlrouting.tasks.scored import TaskModule


class Curves(Callback):
    """Loss, learning rate and speed every few steps; scores after every validation and test. With several datasets
    `train/loss` is of the step's dataset, and `loss/NAME` of each."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps
        self._losses: list[torch.Tensor] = []
        self._examples = 0
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, task: TaskModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Log the step's mean loss over its micro-batches, its learning rate, and the speed since the last log."""
        self._losses.append(outputs["loss"].detach())  # Lightning has divided it by the number of micro-batches
        self._examples += len(batch) * trainer.world_size
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        losses, self._losses = self._losses, []
        of_dataset = self._is_due(trainer.global_step, len(task.task_models)) and task.several
        if trainer.global_step % self.every_steps and not of_dataset:
            return
        loss = float(trainer.strategy.reduce(torch.stack(losses).sum(), reduce_op="mean"))  # type: ignore[arg-type]
        if of_dataset:
            _log(trainer, {f"loss/{batch.dataset}": loss}, trainer.global_step)
        if trainer.global_step % self.every_steps:
            return
        now = time.perf_counter()
        values = {
            "train/loss": loss,
            "train/lr": trainer.lr_scheduler_configs[0].scheduler.get_last_lr()[0],
            "train/samples_per_second": self._examples / (now - self._since),
        }
        self._examples, self._since = 0, now
        _log(trainer, values, trainer.global_step)

    def _is_due(self, step: int, datasets: int) -> bool:
        """Whether the loss of one of several datasets is logged: in every so many rounds once, whichever step of the
        round is the dataset's. A function of the step alone, so that a resumed run logs the same."""
        done = (step - 1) // datasets + 1
        return done % max(1, self.every_steps // datasets) == 0

    def on_validation_end(self, trainer: Trainer, task: TaskModule) -> None:
        """Log the validation's scores."""
        _log_scores(trainer, task, "validation/", trainer.global_step)

    def on_test_end(self, trainer: Trainer, task: TaskModule) -> None:
        """Log the test's scores at the end of the training curves; the Trainer may not have trained in this attempt."""
        _log_scores(trainer, task, f"{task.final_split}/", task.trained_steps)


def _log_scores(trainer: Trainer, task: TaskModule, prefix: str, step: int) -> None:
    _log(trainer, {name: value for name, value in task.scores.items() if name.startswith(prefix)}, step)


def _log(trainer: Trainer, values: dict[str, float], step: int) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(values, step=step)
        logger.save()  # what a kill would lose
