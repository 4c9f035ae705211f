"""A batch, and how questions become one; `text_batch` does it for texts that are to be written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from vlrouting.data.example import Example
from vlrouting.data.loading.tokens import Tokenizer, Tokens
from vlrouting.data.loading.vocabulary import AnswerVocabulary


class VisualSource(Protocol):
    """Where an example's image comes from: decoded pixels, or features computed once."""

    @property
    def kind(self) -> Literal["pixels", "features"]:
        """Which field of `Batch` it fills."""
        ...

    def __call__(self, images: Sequence[Path]) -> Tensor:
        """Of one example: pixels (3, H, W), or (N, 3, H, W) of N images, or features (V, Dv)."""
        ...


@dataclass
class Batch:
    """B examples; T is the longest text among them."""

    examples: list[Example]
    """Stay on the CPU: ids, answers and types for the metric."""
    input_ids: Tensor
    """(B, T) int64."""
    attention_mask: Tensor
    """(B, T) int64, 0 on padding."""
    targets: Tensor | None = None
    """(B, A) float32 soft scores, all 0 where the answers are not public; None without a vocabulary."""
    labels: Tensor | None = None
    """(B, T) int64: the token where a text is to be learnt, -100 elsewhere; None where none is."""
    pixels: Tensor | None = None
    """(B, 3, H, W) float32, or (B, N, 3, H, W) for examples of N images."""
    features: Tensor | None = None
    """(B, V, Dv)."""

    def __len__(self) -> int:
        return len(self.examples)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The batch with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; the DataLoader calls this."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)


class BatchMaker(Protocol):
    """What a data module asks of a collate function."""

    @property
    def visual(self) -> VisualSource | None:
        """Loads the images; None where nothing looks at them."""
        ...

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """Examples to a batch."""
        ...

    def lengths(self, examples: Sequence[Example]) -> list[int]:
        """Number of tokens of every example, padding not counted."""
        ...


class Collate:
    """Questions to a batch, padded on the right; picklable, so that worker processes can have it."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        vocabulary: AnswerVocabulary | None,
        visual: VisualSource | None,
        max_text_tokens: int,
        prompt: str = "{text}",
    ) -> None:
        """
        Args:
            tokenizer: of the language model.
            vocabulary: gives the targets; None for none.
            visual: loads the image; None where nothing looks at it, and nothing is opened then.
            max_text_tokens: longer texts are cut to this, special tokens included and kept.
            prompt: template that the question is put into.
        """
        self.vocabulary, self.visual, self.prompt = vocabulary, visual, prompt
        self.tokens = Tokens(tokenizer, max_text_tokens)

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """
        Raises:
            DataError: an image is missing or broken.
        """
        rows = [self.tokens.of(self._text(example)) for example in examples]
        batch = Batch(list(examples), *self.tokens.padded(rows))
        if self.vocabulary is not None:
            batch.targets = torch.stack([self.vocabulary.encode(example.labels) for example in examples])  # (B, A)
        add_images(batch, self.visual)
        return batch

    def lengths(self, examples: Sequence[Example]) -> list[int]:
        """Number of tokens of every question, special ones included, after the cut; they are kept for the batches."""
        return self.tokens.lengths(map(self._text, examples))

    def _text(self, example: Example) -> str:
        return self.prompt.format(text=example.text)


def add_images(batch: Batch, visual: VisualSource | None) -> None:
    """Load the images of a batch's examples into it.

    Raises:
        DataError: an image is missing or broken.
    """
    if visual is None:
        return
    loaded = torch.stack([visual(example.images) for example in batch.examples])
    if visual.kind == "pixels":
        batch.pixels = loaded  # (B, 3, H, W)
    else:
        batch.features = loaded  # (B, V, Dv)
