"""Texts as tokens: cut, kept, padded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from vlrouting.data.datasets.lazy_examples import identity_of
from vlrouting.data.example import Example
from vlrouting.data.index_folder import IndexName, opened_or_made
from vlrouting.data.loading.token_table import TokenTable, digest, tokenised
from vlrouting.data.loading.tokenizer_fingerprint import tokenizer_fingerprint

LEAST_KEPT = 20_000
"""Examples whose tokens are kept in a file; fewer are tokenised in a second."""
_COMPARED = 100
"""Texts of a block that are tokenised in both ways."""


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    @property
    def pad_token_id(self) -> int | None: ...

    def __call__(self, text: list[str], **options: Any) -> Mapping[str, Any]: ...


class Tokens:
    """The tokens of texts.

    The texts of all examples are tokenised once: the sampler needs their lengths anyway, and the workers find the
    tokens in shared memory. Those of many examples are kept in an index file, which later starts, other ranks and other
    points of a sweep open.
    """

    def __init__(self, tokenizer: Tokenizer, most: int, special: bool = True, root: Path | None = None) -> None:
        """
        Args:
            tokenizer: of the language model.
            most: longer texts are cut to this, special tokens included and kept.
            special: let the tokenizer add its special tokens.
            root: the data root; None keeps no files.
        """
        self.tokenizer, self.most, self.special, self.root = tokenizer, most, special, root
        self._tables: dict[object, TokenTable] = {}

    def lengths(
        self, texts: Iterable[str], examples: Sequence[Example] = (), made: str = "", empty: int | None = None
    ) -> np.ndarray:
        """Number of tokens of every text, (N,) int64; the tokens are kept for `of`.

        Args:
            texts: in the order of the examples.
            examples: that the texts are made of; where they are stored ones, and many, so are the tokens.
            made: how a text is made of its example.
            empty: the number for an empty text. Default: that of its tokens.
        """
        name = self._name(examples, made)
        if name is None:
            return self._remembered(list(texts), empty)
        table = self._tables.get(name.file)
        if table is None:
            assert self.root is not None
            arrays = opened_or_made(self.root, name, lambda: tokenised(texts, self._quickly))
            table = self._tables[name.file] = TokenTable(arrays)
        return table.row_lengths(empty)

    def of(self, text: str) -> list[int]:
        """The tokens of a text."""
        known = digest(text)
        found = (table.tokens(known) for table in self._tables.values())
        tokens = next((row for row in found if row is not None), None)
        return self._tokenize([text])[0] if tokens is None else tokens

    @cached_property
    def _fingerprint(self) -> str | None:
        return tokenizer_fingerprint(self.tokenizer)

    def _name(self, examples: Sequence[Example], made: str) -> IndexName | None:
        """The file of these examples' tokens; None where there is none."""
        identity = identity_of(examples)
        if identity is None or self.root is None or len(examples) < LEAST_KEPT:
            return None
        if self._fingerprint is None:
            return None
        subject = f"{identity.subject}|{made}|{self._fingerprint}|{self.most}|{self.special}"
        return IndexName(identity.title, "tokens", subject, identity.content)

    def _remembered(self, texts: list[str], empty: int | None) -> np.ndarray:
        """Lengths of texts, of which those that no table has are tokenised and get one."""
        digests = np.fromiter(map(digest, texts), np.uint64, len(texts))
        new = np.flatnonzero(self._known_lengths(digests) < 0).tolist()
        if new:
            table = TokenTable(tokenised((texts[number] for number in new), self._quickly))
            self._tables[len(self._tables)] = table
        lengths = self._known_lengths(digests)
        if empty is not None:
            lengths[digests == np.uint64(digest(""))] = empty
        return lengths

    def _known_lengths(self, digests: np.ndarray) -> np.ndarray:
        lengths = np.full(len(digests), -1, np.int64)
        for table in self._tables.values():
            lengths = np.maximum(lengths, table.lengths(digests))
        return lengths

    def _quickly(self, texts: list[str]) -> list[list[int]]:
        """As `_tokenize`, of many texts: without what a transformers tokenizer adds to each, half of the time."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        first = self._tokenize(texts[:_COMPARED])  # and this sets the backend's options
        if backend is None or len(texts) <= _COMPARED:
            return first + (self._tokenize(texts[_COMPARED:]) if len(texts) > _COMPARED else [])
        rows = [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=self.special)]
        return rows if rows[:_COMPARED] == first else self._tokenize(texts)

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
