"""Question answering as classification over the answer vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from vlrouting.config import DataConfig
from vlrouting.data.example import Example
from vlrouting.data.loading.batch import Batch, Collate
from vlrouting.data.loading.vocabulary import AnswerVocabulary
from vlrouting.models.finite import require_finite
from vlrouting.tasks.task import Task, TaskInputs, TaskModel


class ClassificationModule(TaskModel):
    """Binary cross-entropy against soft scores; the most probable answer is predicted.

    A batch has `targets` (B, A) beside what the model reads.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Mean over examples and answers: the micro-batches of a step have equally many."""
        return functional.binary_cross_entropy_with_logits(self(batch).float(), batch["targets"])

    def predict(self, batch: Batch) -> list[str]:
        """The most probable answer of every question."""
        return [self.inputs.answers[index] for index in self._finite_logits(batch).argmax(dim=-1).tolist()]

    def _finite_logits(self, batch: Batch) -> Tensor:
        return require_finite(self(batch), "the logits")

    def probabilities(self, logits: Tensor) -> Tensor:
        """(B, A) -> (B, A): each answer's probability by itself, which the loss trains."""
        return logits.sigmoid()

    def ranked(self, batch: Batch, top: int) -> list[list[tuple[str, float | None]]]:
        """See `TaskModel`."""
        best = self.probabilities(self._finite_logits(batch)).topk(min(top, len(self.inputs.answers)))  # (B, top)
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [[(self.inputs.answers[i], p) for i, p in zip(*row, strict=True)] for row in rows]


class Classification(Task):
    """A head over the answers. A subclass may have another module, or other answers."""

    module = ClassificationModule

    def answers(self, data: DataConfig, training: Sequence[Example]) -> tuple[str, ...]:
        """The answer vocabulary."""
        return AnswerVocabulary.of(data, training).answers

    def longest_row(self, data: DataConfig) -> int:
        """See `Task`."""
        return data.max_text_tokens

    def collate(self, inputs: TaskInputs, training: bool) -> Collate:
        """See `Task`."""
        vocabulary = AnswerVocabulary(inputs.answers) if training else None
        return Collate(inputs.tokenizer, inputs.config.data, inputs.visual, vocabulary)


TASK = Classification()
