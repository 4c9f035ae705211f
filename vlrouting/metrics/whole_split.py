"""Scores that are no sum over examples: a split's predictions are evaluated all at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.gathered import GatheredPredictions
from vlrouting.metrics.score import Score


class Evaluated(NamedTuple):
    """What an evaluation gives."""

    numbers: dict[str, float]
    """Of the split, by name."""
    not_computed: Mapping[str, str] = {}
    """Numbers that could not be had -> why, and what to do."""


class WholeSplitScore(Score):
    """Gathers the predictions of all batches and processes and evaluates each example's once.

    A subclass says how (`evaluate`), names `main` and `results_file`, and gives `titles` and `write_results`. A split
    without public answers is not evaluated.
    """

    def __init__(self, examples: Sequence[Any], config: EvaluateConfig) -> None:
        super().__init__(examples, config)
        self.metric: _Gathered = _Gathered(self.evaluate)
        self._last: Evaluated | None = None

    @abstractmethod
    def evaluate(self, predictions: Mapping[Any, str]) -> Evaluated:
        """Evaluate the predictions, by id, of all examples that have answers; called on one process."""

    def update(self, predictions: Sequence[str], examples: Sequence[Any]) -> None:
        """See `Score`."""
        pairs = zip(examples, predictions, strict=True)
        self.metric.update({example.id: text for example, text in pairs if example.answers})

    def compute(self) -> dict[str, float]:
        """See `Score`."""
        self._last = self.metric.compute() if self.answered else None
        return dict(self._last.numbers) if self._last is not None else {}

    def not_computed(self) -> dict[str, str]:
        """See `Score`."""
        if not self.answered:
            return {self.main: f"the split has no public answers; hand {self.results_file} in to the evaluation server"}
        return dict(self._last.not_computed) if self._last is not None else {}

    @property
    def answered(self) -> bool:
        """Whether the split has public answers."""
        return any(example.answers for example in self.examples)


class _Gathered(GatheredPredictions):
    """Predictions that a function evaluates."""

    def __init__(self, evaluate: Callable[[Mapping[Any, str]], Evaluated]) -> None:
        super().__init__()
        self._evaluate = evaluate

    def evaluate(self, predictions: dict[int | str, str]) -> Evaluated:
        """See `GatheredPredictions`."""
        return self._evaluate(predictions)
