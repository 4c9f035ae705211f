"""Texts as tokens: cut, kept, padded."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    @property
    def pad_token_id(self) -> int | None: ...

    def __call__(self, text: list[str], **options: Any) -> Mapping[str, Any]: ...


class Tokens:
    """The tokens of texts.

    Texts given to `remember` are tokenised once, in this process: the sampler needs their lengths anyway, and the
    workers that are forked later find the tokens in shared memory.
    """

    def __init__(self, tokenizer: Tokenizer, most: int, special: bool = True) -> None:
        """
        Args:
            tokenizer: of the language model.
            most: longer texts are cut to this, special tokens included and kept.
            special: let the tokenizer add its special tokens.
        """
        self.tokenizer, self.most, self.special = tokenizer, most, special
        self._known: dict[str, array[int]] = {}

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenise these texts now, each distinct one once."""
        unknown = list(dict.fromkeys(text for text in texts if text not in self._known))
        if unknown:
            self._known.update(zip(unknown, self._tokenize(unknown), strict=True))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of every text; remembers them."""
        self.remember(texts)
        return [len(self.of(text)) for text in texts]

    def of(self, text: str) -> array[int]:
        """The tokens of a text."""
        known = self._known.get(text)
        return known if known is not None else self._tokenize([text])[0]

    def _tokenize(self, texts: list[str]) -> list[array[int]]:
        # An array takes a quarter of a list's memory; VQAv2 has over 200,000 distinct questions.
        encoded = self.tokenizer(
            texts, truncation=True, max_length=self.most, padding=False, add_special_tokens=self.special
        )
        return [array("i", ids) for ids in encoded["input_ids"]]

    def padded(self, rows: Sequence[Sequence[int]], side: Literal["left", "right"] = "right") -> tuple[Tensor, Tensor]:
        """input_ids and attention_mask, both (B, T) int64. Padded here, whatever the tokenizer's side."""
        pad = self.tokenizer.pad_token_id or 0  # masked, so that any token will do
        width = max(map(len, rows))
        input_ids = torch.full((len(rows), width), pad, dtype=torch.int64)
        attention_mask = torch.zeros_like(input_ids)
        for number, row in enumerate(rows):
            place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
            input_ids[number, place] = torch.tensor(list(row), dtype=torch.int64)
            attention_mask[number, place] = 1
        return input_ids, attention_mask
