"""NLVR2's predictions: accuracy and consistency of a split of statements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlrouting.metrics.nlvr2_evaluation import evaluate, write_results
from vlrouting.metrics.whole_split import Evaluated, WholeSplitScore


class NLVR2Score(WholeSplitScore):
    """Accuracy and consistency in percent, as papers print them."""

    main = "accuracy"
    results_file = "nlvr2_results.csv"

    def evaluate(self, predictions: Mapping[Any, str]) -> Evaluated:
        """See `WholeSplitScore`."""
        records = [{"identifier": example.id, "label": example.answer} for example in self.examples]
        return Evaluated({name: 100 * value for name, value in evaluate(records, predictions).items()})

    def titles(self) -> dict[str, str]:
        """See `Score`."""
        return {"accuracy": "NLVR2 accuracy", "consistency": "NLVR2 consistency"}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """The evaluation's file, a line for each record: `dev-850-0-0,true`."""
        write_results(path, predictions, [example.id for example in self.examples])
