"""`data.sample_answers`: of several right answers one is drawn as the target, anew in every epoch."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, repeat

import numpy as np
import torch

from vlrouting.data.datasets.lazy_examples import LazyExamples, answers_of, identity_of, labels_of, texts_of
from vlrouting.data.example import Example


class SampledAnswers:
    """The answer of each example in each epoch: a function of (seed, epoch, example), alike in every process.

    It is drawn in proportion to the soft scores. Where at most one answer has a score, it is `Example.answer`.

    Attributes:
        candidates: one example for every answer that may be drawn, in the order of the examples.
    """

    def __init__(self, examples: Sequence[Example], seed: int) -> None:
        """
        Args:
            examples: of a training split.
            seed: of the draws.
        """
        self.examples, self.seed = examples, seed
        self.candidates = _Candidates(examples)
        self._cumulative = np.cumsum(self.candidates.scores)  # (C,)
        self._epoch, self._drawn = -1, np.empty(0, np.int64)

    def drawn(self, epoch: int) -> np.ndarray:
        """Which of the candidates each example has as its target, (N,) int64."""
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(_seed(self.seed, epoch))
            share = torch.rand(len(self.examples), generator=generator, dtype=torch.float64).numpy()  # in [0, 1)
            ends = self.candidates.ends
            below = np.concatenate([[0.0], self._cumulative])[ends]  # (N + 1,) sums of the scores before each example
            found = np.searchsorted(self._cumulative, below[:-1] + share * np.diff(below), side="right")
            # The sums are rounded, which must not lead into the next example.
            self._epoch, self._drawn = epoch, np.clip(found, ends[:-1], ends[1:] - 1)
        return self._drawn

    def example(self, index: int, epoch: int) -> Example:
        """An example with the answer that it has in an epoch."""
        return replace(self.examples[index], answer=self.candidates.answer(int(self.drawn(epoch)[index])))


class _Candidates(LazyExamples):
    """Every example once for each of its possible targets.

    Attributes:
        ends: (N + 1,); the candidates of example i are from ends[i] to ends[i + 1].
        scores: (C,) soft scores.
    """

    def __init__(self, whole: Sequence[Example]) -> None:
        self.whole = whole
        known: dict[str, int] = {}
        codes, scores, ends = array("I"), array("d"), array("q", [0])
        for labels, answer in zip(labels_of(whole), answers_of(whole), strict=True):
            right = {text: score for text, score in labels.items() if score > 0 and text}
            for text, score in (right if len(right) > 1 else {answer: 1.0}).items():
                codes.append(known.setdefault(text, len(known)))
                scores.append(score)
            ends.append(len(codes))
        self.ends, self.scores = np.array(ends), np.array(scores)
        self._codes, self._known = np.array(codes), list(known)
        identity = identity_of(whole)
        self.identity = None if identity is None else identity.part("by right answer")

    def __len__(self) -> int:
        return len(self._codes)

    def answer(self, index: int) -> str:
        return self._known[int(self._codes[index])]

    def example(self, index: int) -> Example:
        of = int(np.searchsorted(self.ends, index, side="right")) - 1
        return replace(self.whole[of], answer=self.answer(index))

    def texts(self) -> Iterable[str]:
        return chain.from_iterable(map(repeat, texts_of(self.whole), np.diff(self.ends).tolist()))

    def answers(self) -> Iterable[str]:
        return map(self._known.__getitem__, self._codes.tolist())


def _seed(seed: int, epoch: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{epoch}/answers".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
