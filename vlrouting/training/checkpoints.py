"""When a run is saved, and how: whole files only, at steps from which it goes on exactly as it would have.

Every file is checked before it is used; `previous.ckpt`, the one before `last.ckpt`, is there for when that is damaged.
"""

from __future__ import annotations

import io
import logging
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from vlrouting.experiment import RunDirectory, UserError, atomically
from vlrouting.training.interruption import Interruption

log = logging.getLogger(__name__)

BATCHES_DONE = "vlrouting_batches_done"
SCORES = "vlrouting_scores"
STEPS_DONE = "global_step"
NEEDED = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", STEPS_DONE, BATCHES_DONE, SCORES)


class DamagedCheckpoint(UserError):
    """A checkpoint that cannot be used; its text names the file and what is wrong with it."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and moves it there, so that a kill leaves the old checkpoint or the new one.

    The last one becomes the previous one, but only if this process has read or written it whole: a damaged file must
    not take the place of the sound one that the run went on from.
    """

    def __init__(self, run: RunDirectory) -> None:
        """
        Args:
            run: whose `last.ckpt` is kept as `previous.ckpt` when a new one comes.
        """
        self.run = run
        self._last_is_sound = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            OSError: the disk is full or the folder is read-only; the file stays as it was.
        """
        content = io.BytesIO()  # torch's own writer reports a full disk as an unspecific RuntimeError
        torch.save(checkpoint, content)
        is_last = Path(path) == self.run.last
        with atomically(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())
            if is_last and self._last_is_sound:
                # A kill right here leaves the previous one alone, from which the run goes on just as well.
                os.replace(self.run.last, self.run.previous)
        self._last_is_sound |= is_last

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint that `newest_sound` has checked."""
        checkpoint: dict[str, Any] = super().load_checkpoint(path, *args, **options)
        self._last_is_sound = Path(path) == self.run.last
        return checkpoint


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
        self._signals: Any = None

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

    def on_test_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take the signals again: Lightning's handler of TERM broadcasts, which waits for ever for the other ranks."""
        self.interruption.install()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is due; stop here when that was asked for."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        validation = trainer.val_check_batch
        if trainer.enable_validation and validation and (batch_idx + 1) % int(validation) == 0:
            return
        stop = self._agreed_signal(trainer)
        if stop is not None or trainer.global_step % self.every_steps == 0:
            self._save(trainer, stop)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the score, and save."""
        if trainer.state.fn != "fit":
            return
        score = pl_module.scores.get(self.monitor)  # type: ignore[union-attr, operator]
        if score is not None and (self.best_score is None or score > self.best_score):
            self.best_score = score
            if self.best is not None:
                trainer.save_checkpoint(self.best, weights_only=False)
        self._save(trainer, self._agreed_signal(trainer))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the end of the run."""
        self.train_seconds = self._seconds()
        self._since = 0.0
        stop = self._agreed_signal(trainer)
        self.interruption.patient = False
        self._save(trainer, stop)

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

    def _agreed_signal(self, trainer: lightning.Trainer) -> int | None:
        """The signal for which to stop. One process may have it before the others: all stop after the same step."""
        if trainer.world_size == 1:
            return self.interruption.requested
        if self._signals is None:  # of their own on the CPU, so that no GPU has to finish first
            self._signals = torch.distributed.new_group(backend="gloo")
        asked = torch.tensor(self.interruption.requested or 0)
        torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, group=self._signals)
        return int(asked) or None

    def _save(self, trainer: lightning.Trainer, stop: int | None) -> None:
        trainer.save_checkpoint(self.last, weights_only=False)
        if stop is not None:
            raise self.interruption.stop(stop)

    def _seconds(self) -> float:
        return self.train_seconds + (time.perf_counter() - self._since if self._since else 0.0)


def newest_sound(run: RunDirectory) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint to go on from, and what it holds: the last one, or the one before where the last is damaged.

    It depends on the files alone, so that all processes of a point choose the same one. None before the first.

    Raises:
        UserError: there are checkpoints, and none that can be used.
    """
    damaged: list[str] = []
    for path in (run.last, run.previous):
        if not path.is_file():
            continue
        try:
            checkpoint = read_checkpoint(path)
        except DamagedCheckpoint as error:
            damaged.append(str(error))
            continue
        if damaged and rank_zero_only.rank == 0:
            log.warning("%s; going on from %s, step %d", damaged[0], path.name, checkpoint[STEPS_DONE])
        return path, checkpoint
    if damaged:
        raise UserError(f"{'; '.join(damaged)}. To train this point anew: rm -r '{run.last.parent}'")
    return None


def read_best(run: RunDirectory, last: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint with the best validation; `last`, the end of the run, where no validation gave a score.

    Raises:
        UserError: it is damaged or gone. The last one is no substitute: it would give other numbers.
    """
    if last["callbacks"]["RunCheckpoints"]["best_score"] is None:
        return last
    try:
        return read_checkpoint(run.best)
    except DamagedCheckpoint as error:
        raise UserError(
            f"{error}. The test is of the best weights (evaluate.checkpoint), and they are nowhere else. "
            f"To train this point anew: rm -r '{run.best.parent}'"
        ) from error


def keep_one(run: RunDirectory, in_use: Path) -> None:
    """At the end of a run: previous.ckpt goes, or takes the place of a damaged last one if the run ended with it."""
    if in_use == run.previous:
        os.replace(run.previous, run.last)
    else:
        run.previous.unlink(missing_ok=True)


def warn_of_lost_best(run: RunDirectory, last: dict[str, Any]) -> None:
    """Say at once that the best weights cannot be had: a run may go on, but a later validation must be better."""
    try:
        read_best(run, last)
    except UserError as error:
        if rank_zero_only.rank == 0:
            log.warning("Unless a later validation is better, the test will fail: %s", error)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this project, on the CPU.

    Raises:
        DamagedCheckpoint: it is not there, not whole, a byte of it has changed, or something is missing in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.load does not look at the checksums: a changed byte would be a changed weight.
            if (wrong := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {wrong} is wrong")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if lacking := [key for key in NEEDED if key not in checkpoint]:
            raise ValueError(f"it lacks {', '.join(lacking)}")
    except Exception as error:  # a damaged file makes zipfile and torch raise almost anything
        reason = str(error).split("\n")[0] or type(error).__name__
        raise DamagedCheckpoint(f"{path} is damaged ({reason})") from error
    return checkpoint
