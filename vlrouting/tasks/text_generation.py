"""Texts that a causal language model writes: captions, and answers after their questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from vlrouting.config import GenerateConfig, TrainConfig
from vlrouting.metrics.score import Score
from vlrouting.models.decoder import TextGenerationModel
from vlrouting.tasks.scored import ScoredTask


class Writing(ScoredTask):
    """Cross-entropy of the text's tokens and its end; what `generate` writes is predicted.

    A batch has `input_ids`, `attention_mask`, `pixels` or `features`, `examples`, and `labels` while training.
    """

    model: TextGenerationModel

    def __init__(
        self,
        model: TextGenerationModel,
        tokenizer: Any,
        generate: GenerateConfig,
        train: TrainConfig,
        total_steps: int,
        seed: int,
        score: Mapping[str, Score],
        learnt_tokens: Callable[[int], int],
    ) -> None:
        """
        Args:
            tokenizer: of the language model.
            generate: how to decode.
            learnt_tokens: of an optimizer step, over all devices and pieces.
            model, train, total_steps, seed, score: see `ScoredTask`.
        """
        super().__init__(model, train, total_steps, seed, score)
        self.tokenizer, self.generate_config = tokenizer, generate
        self.learnt_tokens = learnt_tokens

    def loss(self, batch: Any, step: int) -> Tensor:
        """Mean over the tokens that the whole step learns: a mean of means would weigh a short piece's tokens more."""
        share = self.learnt_tokens(step) / self.config.micro_batches
        loss: Tensor = self.model(
            batch.input_ids, batch.attention_mask, batch.labels, batch.pixels, batch.features, share
        )
        return loss

    def predict(self, batch: Any) -> list[str]:
        """The text that is written for every example."""
        tokens = self.model.generate(
            batch.input_ids,
            batch.attention_mask,
            self.generate_config,
            self.tokenizer.eos_token_id,
            batch.pixels,
            batch.features,
        )
        return written_texts(self.tokenizer, tokens)


def written_texts(tokenizer: Any, tokens: Tensor) -> list[str]:
    """New tokens (B, N) as texts, without special tokens and surrounding space."""
    texts: list[str] = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return [text.strip() for text in texts]
