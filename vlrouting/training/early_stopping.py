"""`train.early_stopping`: Lightning's, on the task's own scores, and kept over the attempts of a run."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from vlrouting.config.names import counted
from vlrouting.config.training import EarlyStoppingConfig
from vlrouting.experiment import UserError
from vlrouting.tasks.scored import TaskModule


class StopEarly(EarlyStopping):
    """Ends the training when the validation score has not risen for `patience` validations in a row.

    Lightning's own log would round the scores to float32, so they are taken from `TaskModule.scores`.
    """

    state_key = "StopEarly"
    """Of its state in a checkpoint; `Resume` reads it."""

    def __init__(self, config: EarlyStoppingConfig, monitor: str) -> None:
        super().__init__(monitor, min_delta=config.min_delta, patience=config.patience, mode="max")
        self.configured = config

    def state_dict(self) -> dict[str, Any]:
        """Lightning's; the best score as a number, which any reader of checkpoints understands."""
        return {**super().state_dict(), "best_score": float(self.best_score)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning's; `patience` stays that of the configuration."""
        super().load_state_dict(
            {**state_dict, "best_score": torch.tensor(state_dict["best_score"], dtype=torch.double)}
        )
        self.patience: int = self.configured.patience

    def on_train_epoch_end(self, trainer: Trainer, task: TaskModule) -> None:
        """The whole run is one epoch."""

    def on_validation_end(self, trainer: Trainer, task: TaskModule) -> None:
        """Decide, alike on every process: all of them have the same scores.

        Raises:
            UserError: the score could not be computed.
        """
        if trainer.state.fn != "fit":
            return
        score = task.scores.get(self.monitor)
        if score is None:
            raise UserError(
                f"train.early_stopping: {self.monitor} could not be computed; install what it needs, as the warning at "
                "the start says, or remove train.early_stopping"
            )
        stop, _ = self._evaluate_stopping_criteria(torch.tensor(score, dtype=torch.double))
        if stop:
            trainer.should_stop = True
            waited = counted(self.wait_count, "validation")
            self.stopping_reason_message = (
                f"{self.monitor} has not risen for {waited}, up to step {trainer.global_step} of {task.total_steps}; "
                f"the score to beat: {float(self.best_score):.2f}"
            )
