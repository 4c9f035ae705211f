"""When a run is saved, and how: whole files only, at steps from which it goes on exactly as it would have."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO

from vlrouting.experiment import UserError, atomically
from vlrouting.launch.interruption import Interruption

BATCHES_DONE = "vlrouting_batches_done"
SCORES = "vlrouting_scores"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and moves it there, so that a kill leaves the old checkpoint or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            OSError: the disk is full or the folder is read-only; the file stays as it was.
        """
        content = io.BytesIO()  # torch's own writer reports a full disk as an unspecific RuntimeError
        torch.save(checkpoint, content)
        with atomically(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())


class RunCheckpoints(lightning.Callback):
    """Writes last.ckpt every so many steps and after every validation, best.ckpt when the monitored score rises.

    A step that is followed by a validation is saved after it: a run that is resumed there has the validation's score.

    Attributes:
        train_seconds: time spent in training, resumed parts added up.
    """

    def __init__(
        self, last: Path, best: Path | None, every_steps: int, monitor: str, interruption: Interruption
    ) -> None:
        self.last, self.best, self.every_steps, self.monitor = last, best, every_steps, monitor
        self.interruption = interruption
        self.best_score: float | None = None
        self.train_seconds = 0.0
        self._since = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"best_score": self.best_score, "train_seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.best_score, self.train_seconds = state_dict["best_score"], state_dict["train_seconds"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, and take the signals that Lightning has just taken."""
        self._since = time.perf_counter()
        self.interruption.install()
        self.interruption.patient = True

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is due; stop here when that was asked for."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        validation = trainer.val_check_batch
        if trainer.enable_validation and validation and (batch_idx + 1) % int(validation) == 0:
            return
        if self.interruption.requested is not None or trainer.global_step % self.every_steps == 0:
            self._save(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the score, and save."""
        if trainer.state.fn != "fit":
            return
        score = pl_module.scores.get(self.monitor)  # type: ignore[union-attr, operator]
        if score is not None and (self.best_score is None or score > self.best_score):
            self.best_score = score
            if self.best is not None:
                trainer.save_checkpoint(self.best, weights_only=False)
        self._save(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the end of the run."""
        self.train_seconds = self._seconds()
        self._since = 0.0
        trainer.save_checkpoint(self.last, weights_only=False)
        self.interruption.patient = False
        self.interruption.raise_if_requested()

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the position in the data, and the scores so far."""
        checkpoint[SCORES] = dict(pl_module.scores)  # type: ignore[arg-type]
        checkpoint[BATCHES_DONE] = trainer.fit_loop.epoch_loop.batch_progress.current.processed

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the scores over: there may be no further validation."""
        pl_module.scores = dict(checkpoint[SCORES])  # type: ignore[assignment]

    def _save(self, trainer: lightning.Trainer) -> None:
        trainer.save_checkpoint(self.last, weights_only=False)
        self.interruption.raise_if_requested()

    def _seconds(self) -> float:
        return self.train_seconds + (time.perf_counter() - self._since if self._since else 0.0)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this project, on the CPU.

    Raises:
        UserError: it is damaged.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint[BATCHES_DONE], checkpoint["state_dict"]
    except Exception as error:  # a damaged file makes torch raise almost anything
        raise UserError(f"{path} is damaged ({type(error).__name__}); remove it to train this point anew") from error
    return checkpoint
