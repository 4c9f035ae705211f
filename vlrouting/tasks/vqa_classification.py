"""Question answering as classification over the answer vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from vlrouting.config import TrainConfig
from vlrouting.metrics.score import Score
from vlrouting.models.encoder_classifier import QuestionAnsweringModel
from vlrouting.tasks.scored import ScoredTask


class VQAClassification(ScoredTask):
    """Binary cross-entropy against soft scores; the most probable answer is predicted.

    A batch has `input_ids`, `attention_mask`, `pixels` or `features`, `targets` (B, A) and `examples`.
    """

    def __init__(
        self,
        model: QuestionAnsweringModel,
        answers: Sequence[str],
        train: TrainConfig,
        total_steps: int,
        seed: int,
        score: Mapping[str, Score],
    ) -> None:
        """
        Args:
            answers: the vocabulary, in the order of the head's outputs.
            model, train, total_steps, seed, score: see `ScoredTask`.
        """
        super().__init__(model, train, total_steps, seed, score)
        self.answers = list(answers)

    def forward(self, batch: Any) -> Tensor:
        """Logits (B, A)."""
        logits: Tensor = self.model(batch.input_ids, batch.attention_mask, batch.pixels, batch.features)
        return logits

    def loss(self, batch: Any, step: int) -> Tensor:
        """Mean over examples and answers: the pieces of a step are equal in size."""
        return functional.binary_cross_entropy_with_logits(self(batch).float(), batch.targets)

    def predict(self, batch: Any) -> list[str]:
        """The most probable answer of every question."""
        return [self.answers[index] for index in self(batch).argmax(dim=-1).tolist()]
