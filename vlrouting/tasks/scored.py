"""What every task has: the model's optimisation, scores of validation and test, predictions, checkpoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning
import torch
from torch import Tensor

from vlrouting.config import TrainConfig
from vlrouting.metrics.gathered import joined_on_first_process
from vlrouting.metrics.score import Score
from vlrouting.models.joint_model import VisualLanguageModel
from vlrouting.tasks.optimization import make_optimizer
from vlrouting.tasks.randomness import seed_step
from vlrouting.tasks.trained_state import keep_trained_state, require_trained_state


class ScoredTask(lightning.LightningModule):
    """A task whose test gives one text per example, which a dataset's metric scores.

    A subclass says what the loss of a batch is, and what is predicted for it.

    Attributes:
        predictions: after a test, one record per example (on the first process those of all): id, question (where
            there is one), prediction, references, image(s).
        scores: `validation/…` and `test/…` of the last pass over each. Lightning's own log would round them to float32.
        not_computed: scores of the last test that could not be had, and why.
    """

    def __init__(
        self,
        model: VisualLanguageModel,
        train: TrainConfig,
        total_steps: int,
        seed: int,
        score: Mapping[str, Score],
    ) -> None:
        """
        Args:
            model: what trains.
            train: optimisation.
            total_steps: optimizer steps of the whole run.
            seed: of the run; every batch's randomness is a function of it and of the batch's number.
            score: `validation` and `test`: how their predictions are scored.
        """
        super().__init__()
        self.model, self.config = model, train
        self.total_steps, self.seed = total_steps, seed
        self.score = dict(score)
        self.metrics = torch.nn.ModuleDict({split: scored.metric for split, scored in score.items()})
        self.predictions: list[dict[str, Any]] = []
        self.scores: dict[str, float] = {}
        self.not_computed: dict[str, str] = {}
        self.strict_loading = False  # checkpoints hold trained tensors only; `require_trained_state` checks them

    @abstractmethod
    def loss(self, batch: Any, step: int) -> Tensor:
        """A scalar, whose mean over the devices and pieces of optimizer step `step` is the step's loss."""

    @abstractmethod
    def predict(self, batch: Any) -> list[str]:
        """One text per example of the batch."""

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """Loss of one batch."""
        seed_step(self.seed, "train", batch_index, self.global_rank)
        loss = self.loss(batch, batch_index // self.config.accumulate)
        self.log("loss", loss.detach(), prog_bar=True, logger=False, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Score one batch of the validation split."""
        self._evaluate("validation", batch, batch_index)

    def test_step(self, batch: Any, batch_index: int) -> None:
        """Score one batch of the test split, and keep its predictions."""
        for example, prediction in zip(batch.examples, self._evaluate("test", batch, batch_index), strict=True):
            images = [str(path) for path in example.images]
            self.predictions.append(
                {
                    "id": example.id,
                    **({"question": example.text} if example.text else {}),
                    "prediction": prediction,
                    "references": list(example.answers),
                    **({"image": images[0]} if len(images) == 1 else {"images": images}),
                }
            )

    def _evaluate(self, split: str, batch: Any, batch_index: int) -> list[str]:
        seed_step(self.seed, split, batch_index, self.global_rank)
        predictions = self.predict(batch)
        self.score[split].update(predictions, batch.examples)
        return predictions

    def on_validation_epoch_end(self) -> None:
        """Compute the validation split's scores."""
        self._keep_scores("validation")

    def on_test_epoch_start(self) -> None:
        """Forget an earlier test's predictions."""
        self.predictions = []

    def on_test_epoch_end(self) -> None:
        """Compute the test split's scores; the first process gets the records of all."""
        self.not_computed = self._keep_scores("test")
        self.predictions = joined_on_first_process(self.predictions)

    def _keep_scores(self, split: str) -> dict[str, str]:
        computed = self.score[split].compute()
        not_computed = self.score[split].not_computed()
        self.score[split].metric.reset()
        self.scores |= {f"{split}/{name}": value for name, value in computed.items()}
        return not_computed

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW over the trained parameters, with the schedule stepped every optimizer step."""
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
