"""Shows how far a point is: in progress.json, on a bar where there is a terminal, by lines in a log file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar

from vlrouting.experiment.progress import FAILED_STEP, Progress, write_progress
from vlrouting.progress_bar import LINE_SECONDS, bars, say

EVERY_SECONDS = 2.0


class ProgressBar(LightningProgressBar):
    """Updated by the first process, every two seconds: reading the loss makes a GPU wait.

    Args:
        title: the point's name.
        file: progress.json; None writes none.
    """

    def __init__(self, title: str, file: Path | None = None) -> None:
        super().__init__()
        self.title, self.file = title, file
        self._bars = bars()
        self._task = self._bars.add_task(title, total=None, note="", visible=False)
        self._updated, self._line, self._started, self._first_step = 0.0, 0.0, 0.0, 0

    def disable(self) -> None:
        """Lightning calls it on every rank but the first, which shows nothing anyway."""

    def on_train_start(self, trainer: Trainer, *_: object) -> None:
        """Start the clock and the bar."""
        self._start(trainer, "training", trainer.global_step, trainer.max_steps)

    def on_train_batch_end(self, trainer: Trainer, task: object, outputs: Any, *_: object) -> None:
        """Show the step and the loss."""
        if self._is_due(trainer):
            loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # Lightning has divided it
            self._update(trainer, "training", trainer.global_step, trainer.max_steps, loss)

    def on_exception(self, trainer: Trainer, task: object, exception: BaseException) -> None:
        """Record where the training ended: a point that fails twice at the same step is given up. The exception says it
        too, because another process than the first writes no progress.json."""
        if trainer.state.fn == "fit":
            setattr(exception, FAILED_STEP, trainer.global_step)
            self._update(trainer, "training", trainer.global_step, trainer.max_steps)
        self._bars.stop()

    def on_test_start(self, trainer: Trainer, *_: object) -> None:
        """Start the clock and the bar of the test."""
        self._start(trainer, "testing", 0, _test_batches(trainer))

    def on_test_batch_end(
        self, trainer: Trainer, task: object, outputs: object, batch: object, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Show the batch, counted over all datasets."""
        if self._is_due(trainer):
            before = int(sum(trainer.num_test_batches[:dataloader_idx]))
            self._update(trainer, "testing", before + batch_idx + 1, _test_batches(trainer))

    def on_test_end(self, *_: object) -> None:
        """Fill the bar, and stop it."""
        self._bars.update(self._task, completed=self._bars.tasks[0].total or 0)
        self._bars.stop()

    on_train_end = on_test_end

    def _start(self, trainer: Trainer, phase: str, step: int, total: int) -> None:
        self._started, self._first_step = time.monotonic(), step
        if trainer.is_global_zero:
            self._bars.reset(self._task, total=total, visible=True)
            self._bars.start()
        self._update(trainer, phase, step, total)

    def _is_due(self, trainer: Trainer) -> bool:
        return trainer.is_global_zero and time.monotonic() - self._updated >= EVERY_SECONDS

    def _update(self, trainer: Trainer, phase: str, step: int, total: int, loss: float | None = None) -> None:
        if not trainer.is_global_zero:
            return
        self._updated = time.monotonic()
        seconds, done = self._updated - self._started, step - self._first_step
        rate = done / seconds if done and seconds > 0 else None
        progress = Progress(phase, step, total, loss, rate, time.time())
        if self.file is not None:
            write_progress(self.file, progress)
        self._bars.update(self._task, description=f"{self.title} ({phase})", completed=step, note=progress.note)
        if self._bars.disable and (step == 0 or self._updated - self._line > LINE_SECONDS):
            self._line = self._updated
            say(str(progress))


def _test_batches(trainer: Trainer) -> int:
    return int(sum(trainer.num_test_batches))
