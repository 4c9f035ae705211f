"""Question answering as classification over the answer vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional

from vlrouting.config import TrainConfig
from vlrouting.metrics.vqa import VQAAccuracy
from vlrouting.models.question_answering import QuestionAnsweringModel
from vlrouting.tasks.optimization import make_optimizer
from vlrouting.tasks.randomness import seed_step
from vlrouting.tasks.trained_state import keep_trained_state, require_trained_state


class VQAClassification(lightning.LightningModule):
    """Binary cross-entropy against soft scores; VQA accuracy of the most probable answer.

    A batch has `input_ids`, `attention_mask`, `pixels` or `features`, `targets` (B, A) and `examples` with `id`,
    `answers`, `answer_type` and `question_type`.

    Attributes:
        predictions: after a test, one record per example: id, question, prediction, references, image.
        scores: `validation/…` and `test/…` of the last pass over each, in percent. Lightning's own log would round
            them to float32.
    """

    def __init__(
        self,
        model: QuestionAnsweringModel,
        answers: Sequence[str],
        train: TrainConfig,
        total_steps: int,
        seed: int,
        metrics: Mapping[str, VQAAccuracy],
    ) -> None:
        """
        Args:
            model: what trains.
            answers: the vocabulary, in the order of the head's outputs.
            train: optimisation.
            total_steps: optimizer steps of the whole run.
            seed: of the run; every batch's randomness is a function of it and of the batch's number.
            metrics: `validation` and `test`.
        """
        super().__init__()
        self.model, self.answers, self.config = model, list(answers), train
        self.total_steps, self.seed = total_steps, seed
        self.metrics = torch.nn.ModuleDict(dict(metrics))
        self.predictions: list[dict[str, Any]] = []
        self.scores: dict[str, float] = {}
        self.strict_loading = False  # checkpoints hold trained tensors only; `require_trained_state` checks them

    def forward(self, batch: Any) -> Tensor:
        """Logits (B, A)."""
        logits: Tensor = self.model(batch.input_ids, batch.attention_mask, batch.pixels, batch.features)
        return logits

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """Loss of one batch."""
        seed_step(self.seed, "train", batch_index, self.global_rank)
        loss = functional.binary_cross_entropy_with_logits(self(batch).float(), batch.targets)
        self.log("loss", loss, prog_bar=True, logger=False, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Score one batch of the validation split."""
        self._evaluate("validation", batch, batch_index)

    def test_step(self, batch: Any, batch_index: int) -> None:
        """Score one batch of the test split, and keep its predictions."""
        for example, prediction in zip(batch.examples, self._evaluate("test", batch, batch_index), strict=True):
            self.predictions.append(
                {
                    "id": example.id,
                    "question": example.text,
                    "prediction": prediction,
                    "references": list(example.answers),
                    "image": str(example.images[0]),
                }
            )

    def _evaluate(self, split: str, batch: Any, batch_index: int) -> list[str]:
        seed_step(self.seed, split, batch_index, self.global_rank)
        predictions = [self.answers[index] for index in self(batch).argmax(dim=-1).tolist()]
        examples = [example for example in batch.examples if example.answers]
        if examples:  # a test set without public answers is predicted and not scored
            scored = [p for p, example in zip(predictions, batch.examples, strict=True) if example.answers]
            self.metrics[split].update(  # type: ignore[operator]
                scored,
                [example.answers for example in examples],
                [example.answer_type for example in examples],
                [example.question_type for example in examples],
                [example.id for example in examples],
            )
        return predictions

    def on_validation_epoch_end(self) -> None:
        """Compute the validation split's scores."""
        self._keep_scores("validation")

    def on_test_epoch_start(self) -> None:
        """Forget an earlier test's predictions."""
        self.predictions = []

    def on_test_epoch_end(self) -> None:
        """Compute the test split's scores."""
        self._keep_scores("test")

    def _keep_scores(self, split: str) -> None:
        computed = self.metrics[split].compute()  # type: ignore[operator]
        self.metrics[split].reset()  # type: ignore[operator]
        self.scores |= {f"{split}/{name}": value for name, value in computed.items()}

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
