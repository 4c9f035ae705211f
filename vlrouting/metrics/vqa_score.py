"""VQAv2's predictions: VQA accuracy of every example that has its ten answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlrouting.metrics.score import Score, Scores
from vlrouting.metrics.vqa_accuracy import VQAAccuracy, vqa_accuracy, write_results


class VQAScore(Score):
    """VQA accuracy in percent, overall, per answer type and per question type."""

    main = "vqa_accuracy"
    results_file = "vqa_results.json"

    def evaluate(self, predictions: Mapping[Any, str]) -> Scores:
        """See `Score`."""
        scored = [example for example in self.examples if example.id in predictions]
        answer_types = sorted({example.answer_type for example in self.examples} - {""})
        question_types = sorted({example.question_type for example in self.examples} - {""})
        variant = self.config.vqa_variant
        # All predictions are here: other processes do not take part.
        metric = VQAAccuracy(answer_types, question_types, variant, sync_on_compute=False)
        metric.update(
            [predictions[example.id] for example in scored],
            [example.answers for example in scored],
            [example.answer_type for example in scored],
            [example.question_type for example in scored],
            [example.id for example in scored],
        )
        of_each = {e.id: 100 * vqa_accuracy(predictions[e.id], e.answers, variant) for e in scored}
        return Scores(metric.compute(), {self.main: of_each})

    def titles(self, scores: Scores) -> dict[str, str]:
        """The overall accuracy, with the evaluation code's variant."""
        return {self.main: VQAAccuracy(variant=self.config.vqa_variant).describe()}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """See `Score`."""
        numbered = {int(identity): text for identity, text in predictions.items()}
        write_results(path, numbered, [int(example.id) for example in self.examples])
