"""NLVR2's predictions: accuracy and consistency of a split of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrouting.metrics.nlvr2_evaluation import evaluate, statement_of, write_results
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
        per_example: dict[str, dict[Any, Any]] = {self.main: correct, "consistency": _consistency(correct)}
        return Scores(values, per_example)

    def cluster(self, example: Any, images: Sequence[str]) -> str:
        """Split and set of the identifier `split-set-pair-sentence`: the pairs of a set share images."""
        return "-".join(example.id.split("-")[:2])

    def titles(self, scores: Scores) -> dict[str, str]:
        """See `Score`."""
        return {"accuracy": "NLVR2 accuracy", "consistency": "NLVR2 consistency"}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """The evaluation's file, a line for each record: `dev-850-0-0,true`. A generated text that is neither is wrong
        there as it is here; what would break the line is left out of it."""
        fields = {identity: " ".join(text.replace(",", " ").split()) or "-" for identity, text in predictions.items()}
        write_results(path, fields, [example.id for example in self.examples])


def _consistency(correct: Mapping[str, float]) -> dict[str, list[float]]:
    """Of the first pair of each statement: whether all its pairs are correct, and 1, the number of statements."""
    statements: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for identifier in correct:
        statements[statement_of(identifier)].append(identifier)
    return {min(pairs): [int(all(correct[pair] for pair in pairs)), 1] for pairs in statements.values()}
