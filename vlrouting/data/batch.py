"""A batch and how examples become one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from vlrouting.data.example import Example
from vlrouting.data.vocabulary import AnswerVocabulary


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    @property
    def pad_token_id(self) -> int | None: ...

    def __call__(self, text: list[str], **options: Any) -> Mapping[str, Any]: ...


class VisualSource(Protocol):
    """Where an example's image comes from: decoded pixels, or features computed once."""

    @property
    def kind(self) -> Literal["pixels", "features"]:
        """Which field of `Batch` it fills."""
        ...

    def __call__(self, images: Sequence[Path]) -> Tensor:
        """Of one example: pixels (3, H, W) or features (V, Dv)."""
        ...


@dataclass
class Batch:
    """B examples; T is the longest text among them, and text is padded on the right."""

    examples: list[Example]
    """Stay on the CPU: ids, answers and types for the metric."""
    input_ids: Tensor
    """(B, T) int64."""
    attention_mask: Tensor
    """(B, T) int64, 0 on padding."""
    targets: Tensor | None = None
    """(B, A) float32 soft scores, all 0 where the answers are not public; None without a vocabulary."""
    pixels: Tensor | None = None
    """(B, 3, H, W) float32."""
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


class Collate:
    """Examples to a batch; picklable, so that worker processes can have it.

    Texts given to `remember` are tokenised once, in this process: the sampler needs their lengths anyway, and the
    workers that are forked later find the tokens in shared memory.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        vocabulary: AnswerVocabulary | None,
        visual: VisualSource | None,
        max_text_tokens: int,
    ) -> None:
        """
        Args:
            tokenizer: of the language model.
            vocabulary: gives the targets; None for none.
            visual: loads the image; None where nothing looks at it, and nothing is opened then.
            max_text_tokens: longer texts are cut to this, special tokens included and kept.
        """
        self.tokenizer, self.vocabulary, self.visual = tokenizer, vocabulary, visual
        self.max_text_tokens = max_text_tokens
        self._tokens: dict[str, array[int]] = {}

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """
        Raises:
            DataError: an image is missing or broken.
        """
        input_ids, attention_mask = self._pad([example.text for example in examples])
        batch = Batch(list(examples), input_ids, attention_mask)
        if self.vocabulary is not None:
            batch.targets = torch.stack([self.vocabulary.encode(example.labels) for example in examples])  # (B, A)
        if self.visual is not None:
            loaded = torch.stack([self.visual(example.images) for example in examples])
            if self.visual.kind == "pixels":
                batch.pixels = loaded  # (B, 3, H, W)
            else:
                batch.features = loaded  # (B, V, Dv)
        return batch

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenise these texts now, each distinct one once."""
        unknown = list(dict.fromkeys(text for text in texts if text not in self._tokens))
        if unknown:
            self._tokens.update(zip(unknown, self._tokenize(unknown), strict=True))

    def length(self, text: str) -> int:
        """Number of tokens of a text, special ones included, after the cut."""
        return len(self._of(text))

    def _of(self, text: str) -> array[int]:
        known = self._tokens.get(text)
        return known if known is not None else self._tokenize([text])[0]

    def _tokenize(self, texts: list[str]) -> list[array[int]]:
        # An array takes a quarter of a list's memory; VQAv2 has over 200,000 distinct questions.
        encoded = self.tokenizer(texts, truncation=True, max_length=self.max_text_tokens, padding=False)
        return [array("i", ids) for ids in encoded["input_ids"]]

    def _pad(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """input_ids and attention_mask, both (B, T). Padded here and on the right, whatever the tokenizer's side."""
        rows = [self._of(text) for text in texts]
        pad = self.tokenizer.pad_token_id or 0  # masked, so that any token will do
        width = max(map(len, rows))
        input_ids = torch.full((len(rows), width), pad, dtype=torch.int64)
        attention_mask = torch.zeros_like(input_ids)
        for number, row in enumerate(rows):
            input_ids[number, : len(row)] = torch.tensor(row.tolist())
            attention_mask[number, : len(row)] = 1
        return input_ids, attention_mask
