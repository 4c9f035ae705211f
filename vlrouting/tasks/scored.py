"""The LightningModule around every task: optimisation, scores of validation and test, predictions, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
from torch import Tensor

from vlrouting.data.loading.batch import Batch
from vlrouting.metrics.gathered import gathered_on_first_process, on_first_process
from vlrouting.metrics.score import Score, Scores
from vlrouting.models.not_finite import NotFinite
from vlrouting.tasks.optimization import make_optimizer
from vlrouting.tasks.prediction_records import prediction_records
from vlrouting.tasks.randomness import seed_step
from vlrouting.tasks.task import TaskModel
from vlrouting.tasks.trained_state import keep_trained_state, require_trained_state


@contextmanager
def _naming_examples(batch: Batch) -> Iterator[None]:
    """Says which examples of the batch an error about its rows means.

    Raises:
        NotFinite: with the first example in its text.
    """
    try:
        yield
    except NotFinite as error:
        first = batch.examples[error.rows[0]]
        images = f" ({', '.join(map(str, first.images))})" if first.images else ""
        whose = f"{error.what} of {len(error.rows)} of the batch's {len(batch)} examples, the first {first.id}{images},"
        raise NotFinite(whose, error.rows) from None


class TaskModule(lightning.LightningModule):
    """Trains and tests a task, whose predictions are one text per example, which a dataset's metric scores.

    Attributes:
        task_model: the joint model with its loss and predictions.
        model: the joint model.
        scores: `validation/…` and `test/…` of the last pass over each. Lightning's own log would round them to float32.
        final_split: `test`, or `validation`: the split that a test scores (`evaluate.split`).
        trained_steps: optimizer steps that the tested weights come from.
        tested: what the metric gave for the last test; None before.
        predictions: after a test, on the first process, what predictions.jsonl has: one record per example.
    """

    def __init__(self, task_model: TaskModel, total_steps: int = 0, scores: Mapping[str, Score] | None = None) -> None:
        """
        Args:
            task_model: with the configuration. Every batch's randomness is a function of the seed and of the batch's
                number.
            total_steps: optimizer steps of the whole run.
            scores: `validation` and `test`: how their predictions are scored.
        """
        super().__init__()
        config = task_model.inputs.config
        self.task_model, self.model, self.config = task_model, task_model.model, config.train
        self.total_steps, self.seed = total_steps, config.seed
        self.score = dict(scores or {})
        self.final_split = config.evaluate.split
        self.scores: dict[str, float] = {}
        self.trained_steps = total_steps
        self.tested: Scores | None = None
        self.predictions: list[dict[str, Any]] = []
        self._predicted: list[tuple[int | str, str]] = []
        self.strict_loading = False  # checkpoints hold trained tensors only; `require_trained_state` checks them

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one micro-batch."""
        seed_step(self.seed, "train", batch_index, self.global_rank)
        with _naming_examples(batch):
            loss = self.task_model.loss(batch)
        self.log("loss", loss.detach(), prog_bar=True, logger=False, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Predict one batch of the validation split."""
        self._evaluate("validation", batch, batch_index)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Predict one batch of the test split, or of the one that takes its place."""
        self._evaluate(self.final_split, batch, batch_index)

    def _evaluate(self, split: str, batch: Batch, batch_index: int) -> None:
        seed_step(self.seed, split, batch_index, self.global_rank)
        with _naming_examples(batch):
            texts = self.task_model.predict(batch)
        self._predicted += zip((example.id for example in batch.examples), texts, strict=True)

    def on_validation_epoch_start(self) -> None:
        """Forget the predictions of a pass that was cut off."""
        self._predicted = []

    def on_test_epoch_start(self) -> None:
        """Forget the predictions of a pass that was cut off."""
        self._predicted = []

    def on_validation_epoch_end(self) -> None:
        """Score the validation split."""
        self._score("validation", dict(gathered_on_first_process(self._predicted)))

    def on_test_epoch_end(self) -> None:
        """Score the split; the first process gets the records of all."""
        predictions = dict(gathered_on_first_process(self._predicted))
        self.tested = self._score(self.final_split, predictions)
        if self.global_rank == 0:
            root = Path(self.task_model.inputs.config.data.root)
            self.predictions = prediction_records(self.score[self.final_split], predictions, self.tested, root)

    def _score(self, split: str, predictions: Mapping[int | str, str]) -> Scores:
        scores = on_first_process(lambda: self.score[split].compute(predictions))
        self.scores |= {f"{split}/{name}": value for name, value in scores.values.items()}
        return scores

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW over the trainable parameters, with the schedule stepped every optimizer step."""
        optimizer, schedule = make_optimizer(self.parameters(), self.config, self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen tensors out."""
        keep_trained_state(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that every trained tensor is there.

        Raises:
            ValueError: a tensor is missing or unexpected.
        """
        require_trained_state(self, checkpoint)
