"""VQA accuracy for any number of answers, and exact match."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrouting.config import METRICS, EvaluateConfig
from vlrouting.data.example import Example
from vlrouting.metrics.answer_accuracy import accuracy_of_matches, answer_accuracy, exact_match, title_of
from vlrouting.metrics.answer_score import AnswerScore
from vlrouting.metrics.vqa_accuracy import vqa_accuracy
from vlrouting.tasks.prediction_records import prediction_records

ANSWER = st.sampled_from(["yes", "Yes!", "no", "two", "2", "a dog", "dog", "t-shirt", "t shirt", "", "the", "1,000"])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(prediction=ANSWER, answers=st.lists(ANSWER, min_size=10, max_size=10))
def test_of_ten_answers_it_is_the_official_accuracy(prediction: str, answers: list[str]) -> None:
    assert answer_accuracy(prediction, answers) == vqa_accuracy(prediction, answers, "normalized")


@settings(derandomize=True, max_examples=100, deadline=None)
@given(prediction=ANSWER, answer=ANSWER)
def test_of_one_answer_it_is_exact_match(prediction: str, answer: str) -> None:
    assert answer_accuracy(prediction, [answer]) == exact_match(prediction, [answer])


@settings(derandomize=True, max_examples=100, deadline=None)
@given(answers=st.lists(st.sampled_from("abc"), min_size=2, max_size=7))
def test_it_is_the_mean_over_the_ways_to_leave_one_out(answers: list[str]) -> None:
    size = len(answers) - 1
    ways = [min(1.0, subset.count("b") / min(3, size)) for subset in combinations(answers, size)]
    assert answer_accuracy("b", answers) == pytest.approx(sum(ways) / len(ways))


@pytest.mark.parametrize(
    ("matches", "answers", "accuracy"),
    [
        (0, 1, 0),
        (1, 1, 1),
        (1, 2, 1 / 2),
        (2, 2, 1),
        (1, 3, 1 / 3),
        (2, 3, 2 / 3),
        (1, 4, 1 / 4),
        (3, 4, 3 / 4),
        (4, 5, 1),
    ],
)
def test_some_values(matches: int, answers: int, accuracy: float) -> None:
    assert accuracy_of_matches(matches, answers) == accuracy


def test_no_answers_are_an_error() -> None:
    for answers in ([], "yes"):
        with pytest.raises(ValueError, match="a list of answers"):
            answer_accuracy("yes", answers)


def test_the_title_says_the_number_of_answers() -> None:
    assert title_of([1, 1]) == "exact match (normalised answers)"
    assert title_of([3]) == "VQA accuracy over 3 answers (leave-one-out)"
    assert title_of([5, 1, 2]) == "VQA accuracy over 1 to 5 answers (leave-one-out)"


EXAMPLES = [
    Example(1, (Path("a.jpg"),), "?", {}, answers=("yes", "Yes", "no"), group="g"),
    Example(2, (Path("b.jpg"), Path("c.jpg")), "?", {}, answers=("two",)),
    Example(3, (Path("b.jpg"),), "?", {}),
]
PREDICTIONS = {1: "no", 2: "2", 3: "?"}


def test_the_score_of_a_split(tmp_path: Path) -> None:
    score = AnswerScore(EXAMPLES, EvaluateConfig())
    assert METRICS.load("answers") is AnswerScore
    scores = score.compute(PREDICTIONS)
    assert scores.per_example["answer_accuracy"] == {1: pytest.approx(100 / 3), 2: 100}
    assert scores.per_example["exact_match"] == {1: 100, 2: 100}
    assert scores.values == {"answer_accuracy": pytest.approx(200 / 3), "exact_match": 100}
    assert score.titles(scores) == {
        "answer_accuracy": "VQA accuracy over 1 to 3 answers (leave-one-out)",
        "exact_match": "exact match with any answer",
    }
    score.write_results(tmp_path / score.results_file, PREDICTIONS)
    assert json.loads((tmp_path / "answers_results.json").read_text()) == [
        {"id": identity, "answer": answer} for identity, answer in PREDICTIONS.items()
    ]


def test_one_answer_has_one_title() -> None:
    score = AnswerScore(EXAMPLES[1:], EvaluateConfig())
    assert score.titles(score.compute(PREDICTIONS)) == {"answer_accuracy": "exact match (normalised answers)"}


def test_without_public_answers_nothing_is_computed() -> None:
    scores = AnswerScore(EXAMPLES[2:], EvaluateConfig()).compute(PREDICTIONS)
    assert scores.values == {} and "answers_results.json" in scores.not_computed["answer_accuracy"]


def test_the_records_are_enough() -> None:
    score = AnswerScore(EXAMPLES, EvaluateConfig())
    scores = score.compute(PREDICTIONS)
    records = json.loads(json.dumps(prediction_records(score, PREDICTIONS, scores, Path())))
    again = AnswerScore.of_records(records, EvaluateConfig())
    assert again.compute(PREDICTIONS) == scores and again.titles(scores) == score.titles(scores)
    assert [record["cluster"] for record in records] == ["g", "b.jpg c.jpg", "b.jpg"]
    images = [record.get("images", [record.get("image")]) for record in records]
    assert [again.cluster(e, i) for e, i in zip(again.examples, images, strict=True)] == ["g", "b.jpg c.jpg", "b.jpg"]
