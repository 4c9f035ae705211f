"""Keeps progress.json up to date while a point trains and is tested, and tells a log file now and then."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import lightning

from vlrouting.experiment.progress import Progress, write_progress

EVERY_SECONDS = 2.0
LINE_SECONDS = 30.0
"""Between two lines in a log file."""


class ProgressFile(lightning.Callback):
    """Written by the first process, every two seconds: reading the loss makes a GPU wait."""

    def __init__(self, path: Path, lines: bool = False) -> None:
        """
        Args:
            path: progress.json.
            lines: also print a line now and then, where no bar is shown.
        """
        self.path, self.lines = path, lines
        self._said = 0.0
        self._written, self._begun, self._first_step = 0.0, 0.0, 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._begun, self._first_step = time.monotonic(), trainer.global_step
        self._write(trainer, "training", trainer.global_step, trainer.max_steps)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say how far the training is."""
        if self._due(trainer):
            loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # Lightning has divided it
            self._write(trainer, "training", trainer.global_step, trainer.max_steps, loss)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Say where it ended: to fail twice at the same step is no chance."""
        if trainer.state.fn == "fit":
            self._write(trainer, "training", trainer.global_step, trainer.max_steps)

    def on_test_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock of the test."""
        self._begun, self._first_step = time.monotonic(), 0
        self._write(trainer, "testing", 0, sum(trainer.num_test_batches))  # type: ignore[arg-type]

    def on_test_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Say how far the test is."""
        if self._due(trainer):
            self._write(trainer, "testing", batch_idx + 1, sum(trainer.num_test_batches))  # type: ignore[arg-type]

    def _due(self, trainer: lightning.Trainer) -> bool:
        return trainer.is_global_zero and time.monotonic() - self._written >= EVERY_SECONDS

    def _write(self, trainer: lightning.Trainer, phase: str, step: int, total: int, loss: float | None = None) -> None:
        if not trainer.is_global_zero:
            return
        self._written = time.monotonic()
        seconds, done = self._written - self._begun, step - self._first_step
        rate = done / seconds if done and seconds > 0 else None
        progress = Progress(phase, step, total, loss, rate, time.time())
        write_progress(self.path, progress)
        if self.lines and (step == 0 or self._written - self._said > LINE_SECONDS):
            self._said = self._written
            print(progress, file=sys.stderr, flush=True)
