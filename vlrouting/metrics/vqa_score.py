"""VQAv2's predictions: VQA accuracy of every example that has its ten answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlrouting.metrics.score import Score, Scores
from vlrouting.metrics.vqa_accuracy import FULL_SCORE, TITLES, vqa_tenths, write_results


class VQAScore(Score):
    """VQA accuracy in percent: overall in every variant; in the chosen one also per answer type and question type.

    `vqa_accuracy` is that of `evaluate.vqa_variant`; `vqa_accuracy_official`, `_legacy` and `_normalized` are all.
    """

    main = "vqa_accuracy"
    results_file = "vqa_results.json"

    def evaluate(self, predictions: Mapping[Any, str]) -> Scores:
        """See `Score`."""
        scored = [example for example in self.examples if example.id in predictions]
        tenths = {variant: {e.id: _tenths(predictions[e.id], e, variant) for e in scored} for variant in TITLES}
        chosen = tenths[self.config.vqa_variant]
        kinds: dict[str, list[int]] = defaultdict(list)
        for example in scored:
            kinds[self.main].append(chosen[example.id])
            for kind in ("answer_type", "question_type"):
                if name := getattr(example, kind):
                    kinds[f"{self.main}/{kind}/{name}"].append(chosen[example.id])
        named = {self.main: chosen, **{f"{self.main}_{variant}": each for variant, each in tenths.items()}}
        values = {kind: _percent(sum(kinds[kind]), len(kinds[kind])) for kind in sorted(kinds)}
        values |= {name: _percent(sum(each.values()), len(each)) for name, each in named.items()}
        return Scores(
            values, {name: {i: _percent(score, 1) for i, score in each.items()} for name, each in named.items()}
        )

    def titles(self, scores: Scores) -> dict[str, str]:
        """The overall accuracy, with the evaluation code's variant."""
        return {self.main: TITLES[self.config.vqa_variant]}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """See `Score`."""
        numbered = {int(identity): text for identity, text in predictions.items()}
        write_results(path, numbered, [int(example.id) for example in self.examples])


def _tenths(prediction: str, example: Any, variant: str) -> int:
    try:
        return vqa_tenths(prediction, example.answers, variant)
    except ValueError as error:
        raise ValueError(f"question {example.id}: {error}") from error


def _percent(tenths: int, questions: int) -> float:
    """Not rounded: the official code rounds to two decimals."""
    return 100 * tenths / (FULL_SCORE * questions)
