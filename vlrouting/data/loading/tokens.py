"""Texts as tokens: cut, kept, padded."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

_BLOCK = 10_000
"""Texts that are tokenised together."""


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    @property
    def pad_token_id(self) -> int | None: ...

    def __call__(self, text: list[str], **options: Any) -> Mapping[str, Any]: ...


class Tokens:
    """The tokens of texts.

    Texts given to `remember` are tokenised once, in this process: the sampler needs their lengths anyway, and the
    workers that are forked later find the tokens in shared memory. They are four buffers, however many texts there are:
    a Python object per text would be copied into every worker that looks at it (see `packed`).
    """

    def __init__(self, tokenizer: Tokenizer, most: int, special: bool = True) -> None:
        """
        Args:
            tokenizer: of the language model.
            most: longer texts are cut to this, special tokens included and kept.
            special: let the tokenizer add its special tokens.
        """
        self.tokenizer, self.most, self.special = tokenizer, most, special
        self._tokens, self._ends = array("i"), array("Q", [0])
        """The tokens of all known texts, one after the other, and where each text's end."""
        self._digests, self._numbers = array("Q"), array("I")
        """The digests of all known texts, sorted, and the text's number for each."""

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenise these texts now, each distinct one once."""
        for block in _blocks(texts):
            self._add(dict(zip(map(_digest, block), block, strict=True)))

    def lengths(self, texts: Iterable[str]) -> list[int]:
        """Number of tokens of every text; remembers them."""
        lengths: list[int] = []
        for block in _blocks(texts):
            digests = list(map(_digest, block))
            self._add(dict(zip(digests, block, strict=True)))
            lengths += [stop - start for start, stop in map(self._place, digests)]
        return lengths

    def of(self, text: str) -> array[int]:
        """The tokens of a text."""
        digest = _digest(text)
        if self._knows(digest):
            start, stop = self._place(digest)
            return self._tokens[start:stop]
        return array("i", self._tokenize([text])[0])

    def _add(self, texts: dict[int, str]) -> None:
        """Tokenise texts by digest, those that are not known yet."""
        new = {digest: text for digest, text in texts.items() if not self._knows(digest)}
        if not new:
            return
        first = len(self._digests)
        for row in self._tokenize(list(new.values())):
            self._tokens.extend(row)
            self._ends.append(len(self._tokens))
        digests = np.concatenate([self._digests, np.fromiter(new, np.uint64)])
        numbers = np.concatenate([self._numbers, np.arange(first, first + len(new), dtype=np.uint32)])
        order = np.argsort(digests, kind="stable")
        self._digests, self._numbers = array("Q", digests[order].tobytes()), array("I", numbers[order].tobytes())

    def _knows(self, digest: int) -> bool:
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest

    def _place(self, digest: int) -> tuple[int, int]:
        """Where the tokens of a known text begin and end."""
        number = self._numbers[bisect_left(self._digests, digest)]
        return self._ends[number], self._ends[number + 1]

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        encoded = self.tokenizer(
            texts,
            truncation=True,
            max_length=self.most,
            padding=False,
            add_special_tokens=self.special,
            return_attention_mask=False,  # not asked for, which saves a fifth of the time
            return_token_type_ids=False,
        )
        rows: list[list[int]] = encoded["input_ids"]
        return rows

    def padded(self, rows: Sequence[Sequence[int]], side: Literal["left", "right"] = "right") -> dict[str, Tensor]:
        """`input_ids` and `attention_mask`, both (B, T) int64. Padded here, whatever the tokenizer's side."""
        pad = self.tokenizer.pad_token_id or 0  # masked, so that any token will do
        width = max(map(len, rows))
        input_ids = torch.full((len(rows), width), pad, dtype=torch.int64)
        attention_mask = torch.zeros_like(input_ids)
        for number, row in enumerate(rows):
            place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
            input_ids[number, place] = torch.tensor(list(row), dtype=torch.int64)
            attention_mask[number, place] = 1
        return {"input_ids": input_ids, "attention_mask": attention_mask}


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in parts: of a million at once, a tokenizer would make gigabytes of objects."""
    remaining = iter(texts)
    while block := list(islice(remaining, _BLOCK)):
        yield block


def _digest(text: str) -> int:
    """64 bits of a text. That two of a million texts share them has a probability of 3 in 10^8."""
    # JSON may hold half a surrogate pair, which is no character.
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
