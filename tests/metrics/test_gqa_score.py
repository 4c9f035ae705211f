"""GQA's score over a split: gathered over batches, every number whose files are there, with the server's file."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.metrics.test_gqa_evaluation import CHOICES, PREDICTIONS, QUESTIONS
from vlrouting.config import METRICS, EvaluateConfig
from vlrouting.data.datasets.evenly_spaced import EvenlySpaced
from vlrouting.metrics.gqa_evaluation import evaluate
from vlrouting.metrics.gqa_score import GQAScore
from vlrouting.metrics.score import Scores


class Split(list[Any]):
    """Examples with the official records beside them, as the reader gives them."""

    def __init__(self, questions: dict[str, dict[str, Any]], choices: dict[str, Any] | None = None) -> None:
        super().__init__(
            SimpleNamespace(id=qid, answer=answer, answers=(answer,) if answer else ())
            for qid, answer in ((qid, record.get("answer", "")) for qid, record in questions.items())
        )
        self.questions, self.given, self.official = questions, choices, self

    def records(self) -> dict[str, dict[str, Any]]:
        return self.questions

    def choices(self, question_ids: Container[str]) -> dict[str, Any] | None:
        return self.given


BALANCED = {qid: record for qid, record in QUESTIONS.items() if record["isBalanced"]}


def computed(split: Any) -> tuple[GQAScore, Scores]:
    score = GQAScore(split, EvaluateConfig())
    return score, score.compute(PREDICTIONS)


def test_a_file_of_all_questions_with_choices_gives_every_number() -> None:
    score, scores = computed(Split(QUESTIONS, CHOICES))
    expected = evaluate(QUESTIONS, PREDICTIONS, CHOICES)
    assert expected.pop("not_computed") == {} and METRICS.load("gqa") is GQAScore
    assert scores.values == expected and scores.not_computed == {}
    assert scores.values["accuracy"] == pytest.approx(50) and scores.values["consistency"] == pytest.approx(75)
    correct = scores.per_example["accuracy"]  # of the balanced questions alone
    assert correct == {qid: 100.0 * (PREDICTIONS[qid] == record["answer"]) for qid, record in BALANCED.items()}
    assert list(score.titles(scores).values()) == ["GQA accuracy", "GQA binary", "GQA open", "GQA consistency"]


def test_what_a_balanced_file_cannot_give_is_said_with_the_file_that_it_needs() -> None:
    score, scores = computed(Split(BALANCED))
    assert scores.values["accuracy"] == pytest.approx(50)
    assert not scores.values.keys() & {"consistency", "validity", "plausibility"}
    lacking = scores.not_computed
    assert "_all_questions file" in lacking["consistency"]
    assert "val_choices.json" in lacking["validity"] and "val_choices.json" in lacking["plausibility"]
    assert list(score.titles(scores)) == ["accuracy", "binary", "open"]


def test_a_part_of_the_split_is_scored_by_itself() -> None:
    whole = Split(QUESTIONS, CHOICES)
    part = EvenlySpaced(whole, 4)
    assert [example.id for example in part] == ["0001", "0003", "0005", "0007"]
    _, scores = computed(part)
    assert scores.values["accuracy"] == pytest.approx(100 * 2 / 3)  # of 0001, 0003 and 0007; 0005 is unbalanced
    assert scores.values["validity"] == pytest.approx(100)
    assert scores.not_computed == {"consistency": "entailed questions are not scored; leave out evaluate.limit"}


def test_a_broken_record_is_found_before_anything_is_predicted() -> None:
    broken = {**QUESTIONS, "0004": {key: value for key, value in QUESTIONS["0004"].items() if key != "semantic"}}
    with pytest.raises(ValueError, match="question 0004: the record has no 'semantic'"):
        GQAScore(Split(broken), EvaluateConfig())
    unbalanced = {qid: record for qid, record in QUESTIONS.items() if not record["isBalanced"]}
    with pytest.raises(ValueError, match="no question is balanced"):
        GQAScore(Split(unbalanced), EvaluateConfig())


def test_a_missing_prediction_is_named() -> None:
    split = Split(QUESTIONS)
    with pytest.raises(ValueError, match=rf"without a prediction: {len(split) - 1} \(0002, 0003"):
        GQAScore(split, EvaluateConfig()).compute({"0001": "yes"})


def test_a_test_file_is_handed_in(tmp_path: Path) -> None:
    hidden: Sequence[Any] = Split({qid: {"isBalanced": True} for qid in QUESTIONS})
    score, scores = computed(hidden)
    assert scores.values == {}
    assert "hand gqa_results.json in to the evaluation server" in scores.not_computed["accuracy"]
    score.write_results(tmp_path / score.results_file, PREDICTIONS)
    written = json.loads((tmp_path / "gqa_results.json").read_text())
    assert {entry["questionId"]: entry["prediction"] for entry in written} == PREDICTIONS
    with pytest.raises(ValueError, match="missing"):
        score.write_results(tmp_path / "x.json", {"0001": "yes"})
