"""The examples of a split that have an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress

import numpy as np

from vlrouting.data.datasets.lazy_examples import LazyExamples, answers_of, identity_of, labels_of, texts_of
from vlrouting.data.example import Example


def with_answer(examples: Sequence[Example]) -> Sequence[Example]:
    """Those that have an answer, in their order; nothing is copied."""
    has_answer = np.fromiter(map(bool, answers_of(examples)), np.bool_, len(examples))
    return examples if has_answer.all() else _Chosen(examples, has_answer)


class _Chosen(LazyExamples):
    def __init__(self, whole: Sequence[Example], chosen: np.ndarray) -> None:
        self.whole, self._chosen, self._places = whole, chosen, np.flatnonzero(chosen)
        identity = identity_of(whole)
        self.identity = None if identity is None else identity.part("with an answer")

    def __len__(self) -> int:
        return len(self._places)

    def example(self, index: int) -> Example:
        return self.whole[int(self._places[index])]

    def texts(self) -> Iterable[str]:
        return compress(texts_of(self.whole), self._chosen)

    def answers(self) -> Iterable[str]:
        return compress(answers_of(self.whole), self._chosen)

    def labels(self) -> Iterable[Mapping[str, float]]:
        return compress(labels_of(self.whole), self._chosen)
