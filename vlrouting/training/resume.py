"""What an earlier attempt has saved of a run, and from where the next one resumes."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from vlrouting.experiment import RunDirectory, UserError
from vlrouting.training.checkpoints import (
    BATCHES_DONE,
    SCORES,
    STEPS_DONE,
    CorruptCheckpoint,
    RunCheckpoints,
    read_checkpoint,
)
from vlrouting.training.early_stopping import StopEarly

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resume:
    """The state of a run in one of its checkpoints; by default of a run that has saved nothing.

    Attributes:
        path: the checkpoint's file.
        checkpoint: what it holds.
        batches_done: micro-batches that each process has trained on.
        steps_done: optimizer steps.
        scores: of the last validation.
        best_score: the highest validation score; None where no validation gave one.
        train_seconds: time spent in training, over all attempts.
        stopped_early: why `train.early_stopping` ended the training; None where it did not.
    """

    path: Path | None = None
    checkpoint: Mapping[str, Any] = field(default_factory=dict, repr=False)
    batches_done: int = 0
    steps_done: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    best_score: float | None = None
    train_seconds: float = 0.0
    stopped_early: str | None = None

    @staticmethod
    def read(path: Path) -> Resume:
        """The state in a checkpoint.

        Raises:
            CorruptCheckpoint: it cannot be used.
        """
        checkpoint = read_checkpoint(path)
        done = (checkpoint[BATCHES_DONE], checkpoint[STEPS_DONE])
        callbacks = checkpoint["callbacks"]
        stopped = callbacks.get(StopEarly.state_key, {}).get("stopping_reason_message")
        own = callbacks[RunCheckpoints.__name__]
        return Resume(path, checkpoint, *done, checkpoint[SCORES], **own, stopped_early=stopped)

    @staticmethod
    def newest_valid(run: RunDirectory) -> Resume:
        """The last checkpoint, or the one before where the last is corrupt.

        It depends on the files alone, so that all processes of a point choose the same one.

        Raises:
            UserError: there are checkpoints, and all of them are corrupt.
        """
        corrupt: list[str] = []
        for path in filter(Path.is_file, (run.last, run.previous)):
            try:
                found = Resume.read(path)
            except CorruptCheckpoint as error:
                corrupt.append(str(error))
                continue
            if corrupt:
                _warn("%s; resuming from %s, step %d", corrupt[0], path.name, found.steps_done)
            return found
        if corrupt:
            raise UserError(f"{'; '.join(corrupt)}. To train this point again: rm -r '{run.last.parent}'")
        return Resume()

    def best(self, run: RunDirectory) -> Mapping[str, Any]:
        """The checkpoint with the best validation; this one where no validation gave a score.

        Raises:
            UserError: best.ckpt is corrupt or missing. Another checkpoint would give other numbers.
        """
        if self.best_score is None:
            return self.checkpoint
        try:
            return read_checkpoint(run.best)
        except CorruptCheckpoint as error:
            raise UserError(
                f"{error}. The test needs the best weights (evaluate.checkpoint), and there is no other copy of them. "
                f"To train this point again: rm -r '{run.best.parent}'"
            ) from error

    def warn_of_lost_best(self, run: RunDirectory) -> None:
        """Warn before the training where the best weights are lost, so that only a better validation replaces them."""
        try:
            self.best(run)
        except UserError as error:
            _warn("Unless a later validation is better, the test will fail: %s", error)

    def keep_only(self, run: RunDirectory) -> None:
        """At the end of a run: remove previous.ckpt, or move it to last.ckpt where the run ended with it."""
        if self.path == run.previous:
            os.replace(run.previous, run.last)
        else:
            run.previous.unlink(missing_ok=True)


def _warn(message: str, *arguments: object) -> None:
    if rank_zero_only.rank == 0:
        log.warning(message, *arguments)
