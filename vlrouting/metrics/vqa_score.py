"""VQAv2's predictions: VQA accuracy of every example that has its ten answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.score import Score
from vlrouting.metrics.vqa_accuracy import VQAAccuracy, write_results


class VQAScore(Score):
    """VQA accuracy in percent, overall, per answer type and per question type."""

    main = "vqa_accuracy"
    results_file = "vqa_results.json"

    def __init__(self, examples: Sequence[Any], config: EvaluateConfig) -> None:
        super().__init__(examples, config)
        answer_types = sorted({example.answer_type for example in examples} - {""})
        question_types = sorted({example.question_type for example in examples} - {""})
        self.metric: VQAAccuracy = VQAAccuracy(answer_types, question_types, config.vqa_variant)

    def update(self, predictions: Sequence[str], examples: Sequence[Any]) -> None:
        """See `Score`."""
        answered = [(text, example) for text, example in zip(predictions, examples, strict=True) if example.answers]
        if answered:
            self.metric.update(
                [text for text, _ in answered],
                [example.answers for _, example in answered],
                [example.answer_type for _, example in answered],
                [example.question_type for _, example in answered],
                [example.id for _, example in answered],
            )

    def compute(self) -> dict[str, float]:
        """See `Score`."""
        return self.metric.compute()

    def not_computed(self) -> dict[str, str]:
        """See `Score`."""
        if any(example.answers for example in self.examples):
            return {}
        return {self.main: f"the split has no public answers; hand {self.results_file} in to the evaluation server"}

    def titles(self) -> dict[str, str]:
        """The overall accuracy, with the evaluation code's variant."""
        return {self.main: self.metric.describe()}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """See `Score`."""
        numbered = {int(identity): text for identity, text in predictions.items()}
        write_results(path, numbered, [int(example.id) for example in self.examples])
