"""Texts that a language model generates: captions, and answers after their questions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vlrouting.config import ARCHITECTURES, DataConfig
from vlrouting.data.datasets.captions import TrainingPairs
from vlrouting.data.datasets.with_answer import with_answer
from vlrouting.data.example import Example
from vlrouting.data.loading.batch import Batch, CollateFunction
from vlrouting.data.loading.text_batch import TEXT_COLLATES
from vlrouting.tasks.task import Task, TaskInputs, TaskModel


class TextGenerationModule(TaskModel):
    """Cross-entropy of the text's tokens and its end token; the generated text is predicted.

    A training batch has `labels` (B, T) beside what the model reads. The loss is a mean over the target tokens of the
    whole step: a mean of means would give the tokens of a micro-batch with few of them more weight.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Mean over target tokens; see `Batch.loss_tokens`."""
        loss: Tensor = self.model(batch)
        return loss

    def predict(self, batch: Batch) -> list[str]:
        """The generated texts, without special tokens and surrounding space."""
        tokenizer = self.inputs.tokenizer
        tokens = self.model.generate(batch, self.inputs.config.generate, tokenizer.eos_token_id)  # type: ignore[operator]
        texts: list[str] = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [text.strip() for text in texts]


class VQAGeneration(Task):
    """The answer is generated after the question."""

    module = TextGenerationModule

    def training_examples(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Those that have an answer."""
        return with_answer(examples)

    def longest_row(self, data: DataConfig) -> int:
        """Prompt and target."""
        return data.max_text_tokens + data.max_target_tokens

    def longest_target(self, data: DataConfig) -> int:
        """See `Task`."""
        return data.max_target_tokens

    def collate(self, inputs: TaskInputs, training: bool) -> CollateFunction:
        """See `Task`."""
        config = inputs.config
        make = TEXT_COLLATES[ARCHITECTURES.facts(config.architecture).language]
        return make(inputs.tokenizer, config.data, inputs.visual, prefixed=config.has_prefix, targets=training)


class Captioning(VQAGeneration):
    """A caption is generated for an image."""

    def training_examples(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Every caption of an image by itself."""
        return TrainingPairs(examples)

    def longest_row(self, data: DataConfig) -> int:
        """Prompt and target; the prompt is the same for all images."""
        prompt = len(data.prompt.format(text="")) + 1  # no token is shorter than a character
        return min(data.max_text_tokens, prompt) + data.max_target_tokens


VQA_GENERATION = VQAGeneration()
CAPTIONING = Captioning()
