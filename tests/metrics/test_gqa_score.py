"""GQA's score over a split: gathered over batches, all computable numbers, and the results file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.metrics.test_gqa_evaluation import CHOICES, PREDICTIONS, QUESTIONS
from vlrouting.config import METRICS, EvaluateConfig
from vlrouting.data.datasets.evenly_spaced import EvenlySpaced
from vlrouting.metrics.gqa_evaluation import evaluate
from vlrouting.metrics.gqa_score import GQAScore


class Split(list[Any]):
    """Examples with the official records, like those of the reader."""

    def __init__(self, questions: dict[str, dict[str, Any]], choices: dict[str, Any] | None = None) -> None:
        super().__init__(
            SimpleNamespace(id=qid, answer=answer, answers=(answer,) if answer else ())
            for qid, answer in ((qid, record.get("answer", "")) for qid, record in questions.items())
        )
        self.questions, self.given = questions, choices

    def records(self) -> dict[str, dict[str, Any]]:
        return self.questions

    def choices(self) -> dict[str, Any] | None:
        return self.given


BALANCED = {qid: record for qid, record in QUESTIONS.items() if record["isBalanced"]}


def scored(split: Any) -> GQAScore:
    score = GQAScore(split, EvaluateConfig())
    for start in range(0, len(split), 3):
        batch = split[start : start + 3]
        score.update([PREDICTIONS[example.id] for example in batch], batch)
    return score


def test_all_questions_with_choices_give_every_number() -> None:
    score = scored(Split(QUESTIONS, CHOICES))
    expected = evaluate(QUESTIONS, PREDICTIONS, CHOICES)
    assert expected.pop("not_computed") == {} and METRICS.load("gqa") is GQAScore
    assert score.compute() == expected
    assert score.not_computed() == {}
    assert score.compute()["accuracy"] == pytest.approx(50) and score.compute()["consistency"] == pytest.approx(75)
    assert list(score.titles().values()) == ["GQA accuracy", "GQA binary", "GQA open", "GQA consistency"]


def test_missing_numbers_name_the_file_that_they_need() -> None:
    score = scored(Split(BALANCED))
    numbers = score.compute()
    assert numbers["accuracy"] == pytest.approx(50)
    assert not numbers.keys() & {"consistency", "validity", "plausibility"}
    lacking = score.not_computed()
    assert "_all_questions file" in lacking["consistency"]
    assert "val_choices.json" in lacking["validity"] and "val_choices.json" in lacking["plausibility"]
    assert list(score.titles()) == ["accuracy", "binary", "open"]


def test_a_subset_of_the_split_is_scored() -> None:
    whole = Split(QUESTIONS, CHOICES)
    part = EvenlySpaced(whole, 4)
    assert [example.id for example in part] == ["0001", "0003", "0005", "0007"]
    score = scored(part)
    assert score.compute()["accuracy"] == pytest.approx(100 * 2 / 3)  # of 0001, 0003 and 0007; 0005 is unbalanced
    assert score.compute()["validity"] == pytest.approx(100)
    assert score.not_computed() == {"consistency": "entailed questions are not scored; leave out evaluate.limit"}


def test_an_invalid_record_is_reported_before_training() -> None:
    broken = {**QUESTIONS, "0004": {key: value for key, value in QUESTIONS["0004"].items() if key != "semantic"}}
    with pytest.raises(ValueError, match="question 0004: the record has no 'semantic'"):
        GQAScore(Split(broken), EvaluateConfig())
    unbalanced = {qid: record for qid, record in QUESTIONS.items() if not record["isBalanced"]}
    with pytest.raises(ValueError, match="no question is balanced"):
        GQAScore(Split(unbalanced), EvaluateConfig())


def test_a_missing_prediction_is_reported() -> None:
    split = Split(QUESTIONS)
    score = GQAScore(split, EvaluateConfig())
    score.update(["yes"], split[:1])
    with pytest.raises(ValueError, match=r"without a prediction: 5 \(0002, 0003"):
        score.compute()


def test_results_file_of_a_split_without_answers(tmp_path: Path) -> None:
    hidden: Sequence[Any] = Split({qid: {"isBalanced": True} for qid in QUESTIONS})
    score = scored(hidden)
    assert score.compute() == {}
    assert "hand gqa_results.json in to the evaluation server" in score.not_computed()["accuracy"]
    score.write_results(tmp_path / score.results_file, PREDICTIONS)
    written = json.loads((tmp_path / "gqa_results.json").read_text())
    assert {entry["questionId"]: entry["prediction"] for entry in written} == PREDICTIONS
    with pytest.raises(ValueError, match="missing"):
        score.write_results(tmp_path / "x.json", {"0001": "yes"})
