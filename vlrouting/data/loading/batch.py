"""A batch, and how questions become one; `text_batch` does it for texts to be generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vlrouting.config import DataConfig
from vlrouting.data.datasets.lazy_examples import texts_of
from vlrouting.data.example import Example
from vlrouting.data.loading.tokens import Tokenizer, Tokens
from vlrouting.data.loading.vocabulary import AnswerVocabulary

IGNORED = -100
"""Label of a position without a target token, which torch's cross-entropy leaves out."""


class VisualSource(Protocol):
    """Where an example's image comes from: decoded pixels, or features computed once."""

    def __call__(self, images: Sequence[Path]) -> Tensor:
        """Of one example: pixels (3, H, W), or (N, 3, H, W) of N images, or features (V, Dv)."""
        ...


@dataclass
class Batch:
    """B examples and their named tensors. A task's collate function and its model agree on the names.

    The collate functions here give `input_ids` (B, T) int64; `attention_mask` (B, T) int64, 0 on padding; `visual`, the
    pixels (B, 3, H, W) or (B, N, 3, H, W) or the features (B, V, Dv), where images are read; `targets` (B, A) float32
    soft scores, where there is an answer vocabulary; `labels` (B, T) int64, the target token or `IGNORED`, where text
    is learned.
    """

    examples: list[Example]
    """Stay on the CPU: ids, answers and types for the metric."""
    tensors: dict[str, Tensor]
    dataset: str = ""
    """Name of the dataset that the examples come from."""
    loss_tokens: float | None = None
    """Target tokens per micro-batch of the optimizer step that the batch is a part of. The sum of the losses over this
    number has, over the devices and micro-batches of the step, the mean over the step's target tokens as its mean.
    None where the batch is a step of its own."""

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def get(self, name: str) -> Tensor | None:
        """The tensor, or None where the batch does not have it."""
        return self.tensors.get(name)

    @property
    def target_tokens(self) -> int:
        """Positions that have a label."""
        return int((self["labels"] != IGNORED).sum())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The batch with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; the DataLoader calls this."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return replace(self, tensors={name: change(tensor) for name, tensor in self.tensors.items()})


class CollateFunction(Protocol):
    """What a data module needs of a collate function.

    Attributes:
        prompts: makes tokens of the texts that the language model reads.
    """

    prompts: Tokens

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Examples to a batch."""
        ...

    def lengths(self, examples: Sequence[Example]) -> np.ndarray:
        """Number of tokens of every example, padding not counted: (N,) int64."""
        ...

    def target_tokens(self, examples: Sequence[Example]) -> np.ndarray | None:
        """Number of labels of every example; None where the loss is no mean over tokens."""
        ...


class Collate:
    """Questions to a batch, padded on the right; picklable, so that worker processes can have it."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        data: DataConfig,
        visual: VisualSource | None = None,
        vocabulary: AnswerVocabulary | None = None,
    ) -> None:
        """
        Args:
            tokenizer: of the language model.
            data: prompt and lengths: longer texts are cut, special tokens included and kept.
            visual: loads the images; None where the model reads none, and nothing is opened then.
            vocabulary: gives the targets; None for none.
        """
        self.data, self.visual, self.vocabulary = data, visual, vocabulary
        self.prompts = Tokens(tokenizer, data.max_text_tokens, root=Path(data.root))

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """
        Raises:
            DataError: an image is missing or broken.
        """
        rows = [self.prompts.of(self._prompt(example.text)) for example in examples]
        tensors = self.prompts.padded(rows) | load_images(examples, self.visual)
        if self.vocabulary is not None:
            targets = [self.vocabulary.encode(example.labels) for example in examples]
            tensors["targets"] = torch.stack(targets)  # (B, A)
        return Batch(list(examples), tensors, self.data.name)

    def lengths(self, examples: Sequence[Example]) -> np.ndarray:
        """Number of tokens of every question, special ones included, after the cut; they are kept for the batches."""
        texts = map(self._prompt, texts_of(examples))
        return self.prompts.lengths(texts, examples, f"text in {self.data.prompt}")

    def target_tokens(self, examples: Sequence[Example]) -> None:
        """The loss is a mean over examples."""

    def _prompt(self, text: str) -> str:
        return self.data.prompt.format(text=text)


def load_images(examples: Sequence[Example], visual: VisualSource | None) -> dict[str, Tensor]:
    """The tensor `visual` of a batch, by name; nothing without a source.

    Raises:
        DataError: an image is missing or broken.
    """
    return {} if visual is None else {"visual": torch.stack([visual(example.images) for example in examples])}
