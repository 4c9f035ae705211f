"""The tokens of many texts in a few arrays, and which of them belong to a text."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import islice

import numpy as np

from vlrouting.data.array_file import Arrays, smallest
from vlrouting.data.collector import paused_collector

BLOCK = 10_000
"""Texts that are tokenised together: of a million at once, a tokenizer would make gigabytes of objects."""

Tokenize = Callable[[list[str]], list[list[int]]]


class TokenTable:
    """Tokens of texts, each distinct text once, found by a digest of the text.

    Arrays: `tokens`, one text's after the other's; `ends`: those of text number i are from ends[i] to ends[i + 1];
    `digests`, sorted, and `numbers`, the text of each; `rows`, the text of each row that the table was made from.
    """

    def __init__(self, stored: Arrays) -> None:
        self.stored = stored
        self._tokens, self._ends, self._digests = stored["tokens"], stored["ends"], stored["digests"]

    def __reduce__(self) -> tuple[type[TokenTable], tuple[Arrays]]:
        return TokenTable, (self.stored,)

    def tokens(self, digest: int) -> list[int] | None:
        """Of the text with that digest; None where it is not here."""
        place = int(np.searchsorted(self._digests, np.uint64(digest)))
        if place == len(self._digests) or int(self._digests[place]) != digest:
            return None
        number = int(self.stored["numbers"][place])
        tokens: list[int] = self._tokens[int(self._ends[number]) : int(self._ends[number + 1])].tolist()
        return tokens

    def row_lengths(self, empty: int | None) -> np.ndarray:
        """Number of tokens of each row, int64; where `empty` is given, that is the number of an empty text."""
        lengths = np.diff(self._ends.astype(np.int64))
        if empty is not None:
            lengths[self.stored["numbers"][self._digests == np.uint64(digest(""))]] = empty
        of_rows: np.ndarray = lengths[self.stored["rows"]]
        return of_rows

    def lengths(self, digests: np.ndarray) -> np.ndarray:
        """Number of tokens of the texts with these digests, int64; -1 for those that are not here."""
        places = np.minimum(np.searchsorted(self._digests, digests), max(0, len(self._digests) - 1))
        found = np.full(len(digests), -1, np.int64)
        known = np.flatnonzero(self._digests[places] == digests) if len(self._digests) else places[:0]
        found[known] = np.diff(self._ends.astype(np.int64))[self.stored["numbers"][places[known]]]
        return found


def tokenised(texts: Iterable[str], tokenize: Tokenize) -> Arrays:
    """The arrays of a `TokenTable` of these texts, which are its rows."""
    numbers: dict[int, int] = {}
    tokens, ends, rows = array("i"), array("Q", [0]), array("I")
    with paused_collector():
        for block in blocks(texts):
            digests = list(map(digest, block))
            new = {each: text for each, text in zip(digests, block, strict=True) if each not in numbers}
            for each, row in zip(new, tokenize(list(new.values())) if new else (), strict=True):
                numbers[each] = len(numbers)
                tokens.extend(row)
                ends.append(len(tokens))
            rows.extend(map(numbers.__getitem__, digests))
    found = np.fromiter(numbers, np.uint64, len(numbers))
    order = np.argsort(found, kind="stable")
    arrays = {"tokens": np.array(tokens), "ends": np.array(ends), "numbers": order, "rows": np.array(rows)}
    return Arrays({"digests": found[order], **{name: smallest(of) for name, of in arrays.items()}}, {})


def blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in parts."""
    remaining = iter(texts)
    while block := list(islice(remaining, BLOCK)):
        yield block


def digest(text: str) -> int:
    """64 bits of a text. That two of a million texts share them has a probability of 3 in 10^8."""
    # JSON may hold half a surrogate pair, which is no character.
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
