"""Predictions for a user's own questions: VQA accuracy for any number of answers, and exact match."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlrouting.metrics.answer_accuracy import answer_accuracy, exact_match, title_of
from vlrouting.metrics.results_file import write_results_file
from vlrouting.metrics.score import Score, Scores


class AnswerScore(Score):
    """`answer_accuracy` and `exact_match` in percent; with one answer to every question they are the same."""

    main = "answer_accuracy"
    results_file = "answers_results.json"

    def evaluate(self, predictions: Mapping[Any, str]) -> Scores:
        """See `Score`."""
        scored = [example for example in self.examples if example.id in predictions]
        measures = {self.main: answer_accuracy, "exact_match": exact_match}
        per_example: dict[str, dict[Any, Any]] = {
            name: {example.id: 100 * measure(predictions[example.id], example.answers) for example in scored}
            for name, measure in measures.items()
        }
        values = {name: sum(each.values()) / len(scored) for name, each in per_example.items()}
        return Scores(values, per_example)

    def titles(self, scores: Scores) -> dict[str, str]:
        """The accuracy with the number of answers; exact match where that is another number."""
        counts = {len(example.answers) for example in self.examples if example.answers}
        titles = {self.main: title_of(counts)}
        return titles if counts <= {1} else {**titles, "exact_match": "exact match with any answer"}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """`[{"id": "7", "answer": "red"}]`, sorted by id."""

        def encode(pairs: list[tuple[Any, str]]) -> str:
            return json.dumps([{"id": number, "answer": text} for number, text in pairs], ensure_ascii=False)

        write_results_file(path, predictions, [example.id for example in self.examples], encode)
