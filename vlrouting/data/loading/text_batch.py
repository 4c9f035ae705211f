"""Batches of texts that a causal language model learns to write, or is asked to."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

import torch

from vlrouting.config import DataConfig
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.batch import Batch, VisualSource, add_images
from vlrouting.data.loading.tokens import Tokenizer, Tokens

IGNORED = -100
"""Label of a position that is not learnt, as torch's cross-entropy has it."""


class WritingTokenizer(Tokenizer, Protocol):
    """What is used of a causal language model's tokenizer."""

    @property
    def bos_token_id(self) -> int | None: ...

    @property
    def eos_token_id(self) -> int | None: ...


class TextCollate:
    """Prompts, and with `learn` the texts to write after them.

    With `learn` a row is prompt, text and end token, padded on the right; the labels cover the text from its first
    token on and exactly one end token. Without, a row is the prompt alone, padded on the left, where the model goes on
    from. A row that would begin with the text although no image stands before it gets a start token.
    """

    def __init__(
        self, tokenizer: WritingTokenizer, visual: VisualSource | None, data: DataConfig, prefixed: bool, learn: bool
    ) -> None:
        """
        Args:
            tokenizer: of the language model.
            visual: loads the image; None where nothing looks at it.
            data: prompt and lengths.
            prefixed: whether a visual prefix stands before every row.
            learn: the examples' `answer` is to be learnt.

        Raises:
            DataError: the tokenizer has no end token.
        """
        end = tokenizer.eos_token_id
        if end is None:
            raise DataError("language.name: its tokenizer has no end token, without which no text ends; choose another")
        self.visual, self.prompt, self.learn, self.end = visual, data.prompt, learn, end
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else end
        self._start = array("i", [] if prefixed else [start])
        self.prompts = Tokens(tokenizer, data.max_text_tokens, special=False)
        self.texts = Tokens(tokenizer, data.max_target_tokens - 1, special=False)  # and the end token

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """
        Raises:
            DataError: an image is missing or broken.
        """
        prompts = [self._prompt_tokens(example) for example in examples]
        if self.learn:
            texts = [[*self.texts.of(self._target(example)), self.end] for example in examples]
            rows = [[*prompt, *text] for prompt, text in zip(prompts, texts, strict=True)]
            batch = Batch(list(examples), *self.prompts.padded(rows))
            batch.labels = torch.full_like(batch.input_ids, IGNORED)
            for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
                batch.labels[number, len(prompt) : len(prompt) + len(text)] = torch.tensor(text)
        else:
            batch = Batch(list(examples), *self.prompts.padded(prompts, side="left"))
        add_images(batch, self.visual)
        return batch

    def lengths(self, examples: Sequence[Example]) -> list[int]:
        """Number of tokens of every row; they are kept for the batches."""
        self.prompts.remember(self._prompt(example) for example in examples)
        if not self.learn:
            return [len(self._prompt_tokens(example)) for example in examples]
        self.texts.remember(self._target(example) for example in examples)
        return [
            len(self._prompt_tokens(example)) + len(self.texts.of(self._target(example))) + 1 for example in examples
        ]

    def learnt_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Number of labels that each example will have."""
        return [len(self.texts.of(self._target(example))) + 1 for example in examples]

    def _prompt(self, example: Example) -> str:
        return self.prompt.format(text=example.text)

    def _prompt_tokens(self, example: Example) -> array[int]:
        prompt = self._prompt(example)
        return self.prompts.of(prompt) if prompt else self._start

    def _target(self, example: Example) -> str:
        # After a prompt the text goes on with a space, which most tokenizers make a part of the word.
        return f" {example.answer}" if self._prompt(example) else example.answer
