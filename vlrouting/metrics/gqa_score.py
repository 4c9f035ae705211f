"""GQA's predictions: the official evaluation's numbers over a split."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.gqa_evaluation import (
    COMMON,
    Records,
    asks_what_is_common,
    consistencies,
    evaluate,
    form_of,
    steps_of,
    write_results,
)
from vlrouting.metrics.predictions_file import COUNT, TEXT_OR_NULL, TEXTS, TRUTH, FieldType
from vlrouting.metrics.score import RecordedExample, Score, Scores

TITLES = {
    "accuracy": "GQA accuracy",
    "binary": "GQA binary",
    "open": "GQA open",
    "consistency": "GQA consistency",
}


class GQAScore(Score):
    """Accuracy in percent, and every other number of `gqa_evaluation.evaluate` whose files are there.

    Besides being a sequence, `examples` (or the split that they are a part of, their `whole`) has `official`, with the
    official `records()` by question id, and the `choices(ids)`, None without a file of them. Both are read again for
    every evaluation: kept in memory, they would be copied by every process that loads data.
    """

    main = "accuracy"
    results_file = "gqa_results.json"
    field_types: ClassVar[Mapping[str, FieldType]] = {
        "balanced": TRUTH,
        "steps": COUNT,
        "group": TEXT_OR_NULL,
        "entailed": TEXTS,
        "common": TRUTH,
    }
    of_data_set = ("validity", "plausibility")

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
        choices = self._split.official.choices({example.id for example in self._split})
        return self._evaluate_with(choices, predictions)

    def _evaluate_with(self, choices: Records | None, predictions: Mapping[Any, str]) -> Scores:
        records = {
            question_id: record
            for question_id, record in self._split.official.records().items()
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
        per_example: dict[str, dict[Any, Any]] = {self.main: correct, "binary": {}, "open": {}}
        for question_id, value in correct.items():
            per_example[form_of(records[question_id]["types"]["structural"])][question_id] = [int(value > 0), 1]
        if "consistency" in values and "consistency" not in not_computed:
            shares = consistencies(
                records, predictions, {question_id: value > 0 for question_id, value in correct.items()}
            )
            per_example["consistency"] = {question_id: [share, 1] for question_id, share in shares.items()}
        return Scores(values, {name: of for name, of in per_example.items() if of}, not_computed)

    def fields(self) -> dict[Any, dict[str, Any]]:
        """See `Score`: whether the question is balanced; of a balanced one the number of reasoning steps, the global
        group, the questions that it entails, and `common` where it asks what two objects have in common. The choices
        are left out: they would be many times as long as all the rest."""
        scored = {example.id for example in self.examples if example.answers}
        return {key: _recorded(record, key) for key, record in self._split.official.records().items() if key in scored}

    @classmethod
    def of_records(
        cls,
        records: Sequence[Mapping[str, Any]],
        config: EvaluateConfig,
        read_split: Callable[[], Sequence[Any]] | None = None,
    ) -> GQAScore:
        """See `Score`."""
        split = _RecordedSplit(records)
        if read_split is not None:
            split.official.choices = read_split().official.choices  # type: ignore[attr-defined, method-assign]
        return cls(split, config)

    def titles(self, scores: Scores) -> dict[str, str]:
        """See `Score`. Consistency only where it was computed: a split of balanced questions does not have it."""
        lacking = scores.not_computed.keys() - {self.main}
        return {key: title for key, title in TITLES.items() if key not in lacking}

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """The evaluation server's file: `[{"questionId": "02930152", "prediction": "yes"}]`."""
        write_results(path, predictions, [example.id for example in self.examples])


def _recorded(record: Mapping[str, Any], question_id: str) -> dict[str, Any]:
    if not record["isBalanced"]:
        return {"balanced": False}
    return {
        "balanced": True,
        "steps": steps_of(record, question_id),
        "group": record["groups"]["global"],
        "entailed": [other for other in record["entailed"] if other != question_id],
        **({"common": True} if asks_what_is_common(record, question_id) else {}),
    }


class _RecordedSplit(list[RecordedExample]):
    """The questions of a predictions.jsonl, with their official records as far as it has them."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(map(RecordedExample.of, records))
        self.official = _Recorded(
            {example.id: _official(record) for example, record in zip(self, records, strict=True)}
        )


class _Recorded:
    """What predictions.jsonl has of the official files."""

    def __init__(self, records: dict[Any, dict[str, Any]]) -> None:
        self._records = records

    def records(self) -> dict[Any, dict[str, Any]]:
        return self._records

    def choices(self, question_ids: Container[str]) -> Records | None:
        return None


def _official(record: Mapping[str, Any]) -> dict[str, Any]:
    if not record["references"]:  # of a test set without public answers, which is not scored
        return {}
    found = {"isBalanced": record["balanced"], "answer": record["references"][0]}
    if not record["balanced"]:
        return found
    kinds = {"structural": record["answer_type"], "semantic": record["question_type"]}
    return found | {
        "types": {**kinds, "detailed": COMMON if record.get("common") else ""},
        "steps": record["steps"],
        "groups": {"global": record["group"]},
        "entailed": record["entailed"],
    }
