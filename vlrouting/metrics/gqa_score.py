"""GQA's predictions: the official evaluation's numbers over a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.gqa_evaluation import Records, evaluate, write_results
from vlrouting.metrics.score import Score, Scores

TITLES = {
    "accuracy": "GQA accuracy",
    "binary": "GQA binary",
    "open": "GQA open",
    "consistency": "GQA consistency",
}


class GQAScore(Score):
    """Accuracy in percent, and every other number of `gqa_evaluation.evaluate` whose files are there.

    Besides being a sequence, `examples` (or the split that they are a part of, their `whole`) gives the official
    `records()` by question id, and the `choices()`, None without a file of them. Both are read again for every
    evaluation: kept in memory, they would be copied by every process that loads data.
    """

    main = "accuracy"
    results_file = "gqa_results.json"

    def __init__(self, examples: Sequence[Any], config: EvaluateConfig) -> None:
        """
        Raises:
            ValueError: a record lacks what the evaluation needs, or no question is balanced.
        """
        super().__init__(examples, config)
        self._split: Any = getattr(examples, "whole", examples)
        answers = {example.id: example.answer for example in examples if example.answers}
        if answers:  # so that nothing is found missing after hours of training
            self._evaluate_with(None, answers)

    def evaluate(self, predictions: Mapping[Any, str]) -> Scores:
        """See `Score`. Balanced questions alone are scored, and have a number of their own."""
        return self._evaluate_with(self._split.choices(), predictions)

    def _evaluate_with(self, choices: Records | None, predictions: Mapping[Any, str]) -> Scores:
        records = {
            question_id: record
            for question_id, record in self._split.records().items()
            if question_id in predictions or not record["isBalanced"]
        }
        values = evaluate(records, predictions, choices)
        not_computed = values.pop("not_computed")
        if self._split is not self.examples and "consistency" in not_computed:
            not_computed["consistency"] = "entailed questions are not scored; leave out evaluate.limit"
        balanced = {question_id: record["answer"] for question_id, record in records.items() if record["isBalanced"]}
        correct = {
            question_id: 100.0 * (predictions[question_id] == answer) for question_id, answer in balanced.items()
        }
        return Scores(values, {self.main: correct}, not_computed)

    def titles(self, scores: Scores) -> dict[str, str]:
        """See `Score`. Consistency only where it was computed: a split of balanced questions does not have it."""
        lacking = scores.not_computed.keys() - {self.main}
        return {key: title for key, title in TITLES.items() if key not in lacking}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """The evaluation server's file: `[{"questionId": "02930152", "prediction": "yes"}]`."""
        write_results(path, predictions, [example.id for example in self.examples])
