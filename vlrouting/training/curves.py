"""TensorBoard's curves, written before the checkpoint of the same step, so that a resumed run has no gap in them.

Steps are optimizer steps, counted from 1.
"""

from __future__ import annotations

import time
from typing import Any

import lightning
import torch


class Curves(lightning.Callback):
    """Loss, learning rate and speed every few steps; scores after every validation and test."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps
        self._losses: list[torch.Tensor] = []
        self._examples = 0
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the step's mean loss over its micro-batches, its learning rate, and the speed since the last log."""
        self._losses.append(outputs["loss"].detach())  # Lightning has divided it by the number of micro-batches
        self._examples += len(batch) * trainer.world_size
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        losses, self._losses = self._losses, []
        if trainer.global_step % self.every_steps:
            return
        now = time.perf_counter()
        values = {
            "train/loss": float(trainer.strategy.reduce(torch.stack(losses).sum(), reduce_op="mean")),  # type: ignore[arg-type]
            "train/lr": trainer.lr_scheduler_configs[0].scheduler.get_last_lr()[0],
            "train/samples_per_second": self._examples / (now - self._since),
        }
        self._examples, self._since = 0, now
        _log(trainer, values, trainer.global_step)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log the validation's scores."""
        self._log_scores(trainer, pl_module, "validation/", trainer.global_step)

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log the test's scores at the end of the training curves; the Trainer may not have trained in this attempt."""
        self._log_scores(trainer, pl_module, "test/", int(pl_module.total_steps))  # type: ignore[arg-type]

    def _log_scores(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, prefix: str, step: int
    ) -> None:
        scores: dict[str, float] = pl_module.scores  # type: ignore[assignment]
        _log(trainer, {name: value for name, value in scores.items() if name.startswith(prefix)}, step)


def _log(trainer: lightning.Trainer, values: dict[str, float], step: int) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(values, step=step)
        logger.save()
        logger.experiment.flush()  # type: ignore[attr-defined]  # what a kill would lose
