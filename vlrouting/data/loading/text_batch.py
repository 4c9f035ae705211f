"""Batches of prompts, and of the texts that a language model learns to generate after them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from vlrouting.config import DataConfig
from vlrouting.config.tasks import LanguageKind
from vlrouting.data.datasets.lazy_examples import answers_of, texts_of
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.batch import IGNORED, Batch, VisualSource, load_images
from vlrouting.data.loading.tokens import Tokenizer, Tokens


class CausalTokenizer(Tokenizer, Protocol):
    """What is used of a causal language model's tokenizer."""

    @property
    def bos_token_id(self) -> int | None: ...

    @property
    def eos_token_id(self) -> int | None: ...


class TextCollate:
    """For a causal language model: prompts, and with `targets` the texts to be generated after them.

    With `targets` a row is prompt, text and end token, padded on the right; the labels cover the text from its first
    token on and exactly one end token. Without, a row is the prompt alone, padded on the left, since the model
    continues it. A row that would start with the text, without an image before it, gets a start token.
    """

    def __init__(
        self,
        tokenizer: CausalTokenizer,
        data: DataConfig,
        visual: VisualSource | None = None,
        *,
        prefixed: bool,
        targets: bool,
    ) -> None:
        """
        Args:
            tokenizer: of the language model.
            data: prompt and lengths.
            visual: loads the images; None where the model reads none.
            prefixed: whether a visual prefix stands before every row.
            targets: whether the examples' `answer` follows as the target.

        Raises:
            DataError: the tokenizer has no end token.
        """
        end = tokenizer.eos_token_id
        if end is None:
            raise DataError("language.name: its tokenizer has no end token, without which no text ends; choose another")
        self.data, self.visual, self.targets, self.end = data, visual, targets, end
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else end
        self._start: list[int] = [] if prefixed else [start]
        root = Path(data.root)
        self.prompts = Tokens(tokenizer, data.max_text_tokens, special=False, root=root)
        self.texts = Tokens(tokenizer, data.max_target_tokens - 1, special=False, root=root)  # and the end token

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """
        Raises:
            DataError: an image is missing or broken.
        """
        prompts = [self._prompt_tokens(self._prompt(example.text)) for example in examples]
        if self.targets:
            texts = [[*self.texts.of(self._target(each.text, each.answer)), self.end] for each in examples]
            tensors = self.prompts.padded([[*prompt, *text] for prompt, text in zip(prompts, texts, strict=True)])
            labels = torch.full_like(tensors["input_ids"], IGNORED)
            for row, prompt, text in zip(labels, prompts, texts, strict=True):
                row[len(prompt) : len(prompt) + len(text)] = torch.tensor(text)
            tensors["labels"] = labels  # (B, T)
        else:
            tensors = self.prompts.padded(prompts, side="left")
        return Batch(list(examples), tensors | load_images(examples, self.visual), self.data.name)

    def lengths(self, examples: Sequence[Example]) -> np.ndarray:
        """Number of tokens of every row; they are kept for the batches."""
        texts = map(self._prompt, texts_of(examples))
        prompts = self.prompts.lengths(texts, examples, f"text in {self.data.prompt}", empty=len(self._start))
        return prompts + self.target_tokens(examples) if self.targets else prompts

    def target_tokens(self, examples: Sequence[Example]) -> np.ndarray:
        """Number of labels that each example has in training; the texts are kept for the batches."""
        targets = map(self._target, texts_of(examples), answers_of(examples))
        return self.texts.lengths(targets, examples, f"answer after {self.data.prompt}") + 1

    def _prompt(self, text: str) -> str:
        return self.data.prompt.format(text=text)

    def _prompt_tokens(self, prompt: str) -> list[int]:
        return self.prompts.of(prompt) if prompt else self._start

    def _target(self, text: str, answer: str) -> str:
        # After a prompt the text continues with a space, which most tokenizers make a part of the word.
        return f" {answer}" if self._prompt(text) else answer


class SourceTargetCollate:
    """For an encoder-decoder: prompts for the encoder, and with `targets` the texts for the decoder.

    Both are as the tokenizer makes them, special tokens included, and padded on the right. `labels` (B, T') are the
    target's tokens, with `IGNORED` on padding; the model itself puts its start token before them.
    """

    def __init__(
        self,
        tokenizer: CausalTokenizer,
        data: DataConfig,
        visual: VisualSource | None = None,
        *,
        prefixed: bool,
        targets: bool,
    ) -> None:
        """See `TextCollate`. A prompt is never empty here, so `prefixed` changes nothing.

        Raises:
            DataError: the tokenizer does not end a text with an end token.
        """
        end = tokenizer.eos_token_id
        if end is None or list(tokenizer(["a"], add_special_tokens=True)["input_ids"][0])[-1:] != [end]:
            raise DataError(
                "language.name: its tokenizer ends no text with an end token, so that no text would end; choose another"
            )
        self.data, self.visual, self.targets = data, visual, targets
        root = Path(data.root)
        self.prompts = Tokens(tokenizer, data.max_text_tokens, root=root)
        self.texts = Tokens(tokenizer, data.max_target_tokens, root=root)

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """
        Raises:
            DataError: an image is missing or broken.
        """
        tensors = self.prompts.padded([self.prompts.of(self._prompt(example.text)) for example in examples])
        if self.targets:
            texts = self.texts.padded([self.texts.of(example.answer) for example in examples])
            tensors["labels"] = texts["input_ids"].masked_fill(texts["attention_mask"] == 0, IGNORED)  # (B, T')
        return Batch(list(examples), tensors | load_images(examples, self.visual), self.data.name)

    def lengths(self, examples: Sequence[Example]) -> np.ndarray:
        """Number of tokens of every example, of prompt and text together; they are kept for the batches."""
        texts = map(self._prompt, texts_of(examples))
        prompts = self.prompts.lengths(texts, examples, f"text in {self.data.prompt}")
        return prompts + self.target_tokens(examples) if self.targets else prompts

    def target_tokens(self, examples: Sequence[Example]) -> np.ndarray:
        """Number of labels that each example has in training; the texts are kept for the batches."""
        return self.texts.lengths(answers_of(examples), examples, "answer")

    def _prompt(self, text: str) -> str:
        return self.data.prompt.format(text=text)


TEXT_COLLATES: dict[LanguageKind, type[TextCollate | SourceTargetCollate]] = {
    "causal": TextCollate,
    "encoder_decoder": SourceTargetCollate,
}
"""`ArchitectureFacts.language` -> how texts to be generated become a batch."""
