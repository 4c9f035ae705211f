"""NLVR2's predictions: accuracy and consistency of a split of statements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlrouting.metrics.nlvr2_evaluation import evaluate, write_results
from vlrouting.metrics.score import Score, Scores


class NLVR2Score(Score):
    """Accuracy and consistency in percent, as papers print them."""

    main = "accuracy"
    results_file = "nlvr2_results.csv"

    def evaluate(self, predictions: Mapping[Any, str]) -> Scores:
        """See `Score`."""
        records = [{"identifier": example.id, "label": example.answer} for example in self.examples]
        values = {name: 100 * value for name, value in evaluate(records, predictions).items()}
        correct = {e.id: 100.0 * (predictions[e.id].lower() == e.answer.lower()) for e in self.examples}
        return Scores(values, {self.main: correct})

    def cluster(self, example: Any) -> str:
        """Split and set of the identifier `split-set-pair-sentence`: the pairs of a set share images."""
        return "-".join(example.id.split("-")[:2])

    def titles(self, scores: Scores) -> dict[str, str]:
        """See `Score`."""
        return {"accuracy": "NLVR2 accuracy", "consistency": "NLVR2 consistency"}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """The evaluation's file, a line for each record: `dev-850-0-0,true`."""
        write_results(path, predictions, [example.id for example in self.examples])
