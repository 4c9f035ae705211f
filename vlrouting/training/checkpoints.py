"""When a run is saved, and how: atomically, after whole optimizer steps, so that a resumed run computes the same.

Every file is validated before it is used; `previous.ckpt`, the one before `last.ckpt`, replaces a corrupt `last.ckpt`.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins import TorchCheckpointIO

from vlrouting.backbones.unreadable import why_unreadable
from vlrouting.experiment import RunDirectory, UserError, atomically
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.interruption import Interruption
from vlrouting.training.user_errors import require_run_directory

BATCHES_DONE = "vlrouting_batches_done"
SCORES = "vlrouting_scores"
STEPS_DONE = "global_step"
NEEDED = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", STEPS_DONE, BATCHES_DONE, SCORES)


class CorruptCheckpoint(UserError):
    """A checkpoint that cannot be used; the text names the file and what is wrong with it."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a temporary file and renames it, so that a kill leaves the old checkpoint or the new one.

    `last.ckpt` becomes `previous.ckpt` when a new one is written, but only if this process has read or written it: a
    corrupt file must not replace the valid one that the run was resumed from.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._last_is_valid = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            OSError: the disk is full or the folder is read-only; the file stays as it was.
            PointFailure: the run directory was removed.
        """
        require_run_directory(self.run)
        content = io.BytesIO()  # torch's own writer reports a full disk as an unspecific RuntimeError
        torch.save(checkpoint, content)
        is_last = Path(path) == self.run.last
        with atomically(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())
            if is_last and self._last_is_valid:
                # A kill right here leaves the previous one alone, from which the run resumes just as well.
                with suppress(FileNotFoundError):  # someone has removed it
                    os.replace(self.run.last, self.run.previous)
        self._last_is_valid |= is_last

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint that `Resume.newest_valid` has chosen."""
        checkpoint: dict[str, Any] = super().load_checkpoint(path, *args, **options)
        self._last_is_valid = Path(path) == self.run.last
        return checkpoint


class RunCheckpoints(Callback):
    """Writes last.ckpt every few steps and after every validation, best.ckpt when the monitored score rises.

    Of several validations with the same score the first one is the best: fewer steps led to it. A step that is followed
    by a validation is saved after it, so that a resumed run has the validation's score.

    Args:
        last: file to write.
        best: file to write; None where the last weights are tested.
        every_steps: optimizer steps between two checkpoints.
        monitor: name of the validation score.
        interruption: signals that this process got.
        best_score: the highest so far, of an earlier attempt.
        train_seconds: time spent in training, of earlier attempts.
    """

    def __init__(
        self,
        *,
        last: Path,
        best: Path | None,
        every_steps: int,
        monitor: str,
        interruption: Interruption,
        best_score: float | None = None,
        train_seconds: float = 0.0,
    ) -> None:
        self.last, self.best, self.every_steps, self.monitor = last, best, every_steps, monitor
        self.interruption, self.best_score, self.train_seconds = interruption, best_score, train_seconds
        self._since = 0.0
        self._signals: Any = None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs; `Resume` reads it."""
        return {"best_score": self.best_score, "train_seconds": self._seconds()}

    def on_train_start(self, trainer: Trainer, task: TaskModule) -> None:
        """Start the clock, and install the handlers again that Lightning has just replaced."""
        self._since = time.perf_counter()
        self.interruption.install()
        self.interruption.patient, self.interruption.setting_up = True, False

    def on_test_start(self, trainer: Trainer, task: TaskModule) -> None:
        """Install the handlers again: Lightning's for TERM broadcasts, and would wait for the other ranks for ever.

        Stops after a notice during the set-up of a run that is trained already.
        """
        self.interruption.install()
        self.interruption.setting_up = False
        stop = self._agreed_signal(trainer)
        if stop is not None:
            raise self.interruption.stop(stop)

    def on_train_batch_end(self, trainer: Trainer, task: TaskModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save every few steps, and stop here after a signal."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        validation = trainer.val_check_batch
        if trainer.enable_validation and validation and (batch_idx + 1) % int(validation) == 0:
            return
        stop = self._agreed_signal(trainer)
        if stop is not None or trainer.global_step % self.every_steps == 0:
            self._save(trainer, stop)

    def on_validation_end(self, trainer: Trainer, task: TaskModule) -> None:
        """Record the score, and save."""
        if trainer.state.fn != "fit":
            return
        score = task.scores.get(self.monitor)
        if score is not None and (self.best_score is None or score > self.best_score):
            self.best_score = score
            if self.best is not None:
                trainer.save_checkpoint(self.best, weights_only=False)
        self._save(trainer, self._agreed_signal(trainer))

    def on_train_end(self, trainer: Trainer, task: TaskModule) -> None:
        """Save the end of the run."""
        self.train_seconds = self._seconds()
        self._since = 0.0
        stop = self._agreed_signal(trainer)
        self.interruption.patient = False
        self._save(trainer, stop)

    def on_save_checkpoint(self, trainer: Trainer, task: TaskModule, checkpoint: dict[str, Any]) -> None:
        """Add the position in the data, and the scores so far."""
        checkpoint[SCORES] = dict(task.scores)
        checkpoint[BATCHES_DONE] = trainer.fit_loop.epoch_loop.batch_progress.current.processed

    def _agreed_signal(self, trainer: Trainer) -> int | None:
        """The signal for which to stop. One process may get it before the others: all stop after the same step."""
        if trainer.world_size == 1:
            return self.interruption.requested
        if self._signals is None:  # a group on the CPU, so that no GPU has to finish first
            self._signals = torch.distributed.new_group(backend="gloo")
        asked = torch.tensor(self.interruption.requested or 0)
        torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, group=self._signals)
        return int(asked) or None

    def _save(self, trainer: Trainer, stop: int | None) -> None:
        trainer.save_checkpoint(self.last, weights_only=False)
        if stop is not None:
            raise self.interruption.stop(stop)

    def _seconds(self) -> float:
        return self.train_seconds + (time.perf_counter() - self._since if self._since else 0.0)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this project, on the CPU.

    Raises:
        CorruptCheckpoint: it is missing, truncated, a byte of it has changed, or a key is missing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.load does not look at the checksums: a changed byte would be a changed weight.
            if (wrong := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {wrong} is wrong")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if missing := [key for key in NEEDED if key not in checkpoint]:
            raise ValueError(f"it has no {', '.join(missing)}")
    except Exception as error:  # a corrupt file makes zipfile and torch raise almost anything
        raise CorruptCheckpoint(f"{path} is corrupt ({why_unreadable(error)})") from error
    return checkpoint
