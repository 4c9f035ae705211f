"""VQAv2's score over a split: the metric's numbers, and one number for each question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vlrouting.config import EvaluateConfig
from vlrouting.data.example import Example
from vlrouting.metrics.vqa_accuracy import TITLES
from vlrouting.metrics.vqa_score import VQAScore

ANSWERS = [("yes",) * 10, ("2", *["3"] * 9), ("net",) * 2 + ("mesh",) * 8, ()]
TYPES = ["yes/no", "number", "other", "other"]
EXAMPLES = [
    Example(number, (Path(f"{number // 2}.jpg"),), "?", {}, answers, answer_type=kind)
    for number, (answers, kind) in enumerate(zip(ANSWERS, TYPES, strict=True))
]
PREDICTIONS = {0: "yes", 1: "two", 2: "net", 3: "unknown"}


def test_numbers_of_the_split_and_of_each_question() -> None:
    score = VQAScore(EXAMPLES, EvaluateConfig())
    scores = score.compute(PREDICTIONS)
    names = {"vqa_accuracy", "vqa_accuracy_official", "vqa_accuracy_legacy", "vqa_accuracy_normalized"}
    assert scores.per_example == {name: {0: 100.0, 1: 30.0, 2: 60.0} for name in names}
    assert scores.values == pytest.approx(
        {
            **dict.fromkeys(names, 190 / 3),
            "vqa_accuracy/answer_type/number": 30.0,
            "vqa_accuracy/answer_type/other": 60.0,
            "vqa_accuracy/answer_type/yes/no": 100.0,
        }
    )
    assert score.titles(scores) == {"vqa_accuracy": "VQA accuracy (official evaluation code, 2021 variant)"}
    assert score.cluster(EXAMPLES[0], ["val/0.jpg"]) == "val/0.jpg"
    legacy = VQAScore(EXAMPLES, EvaluateConfig(vqa_variant="legacy"))
    assert "legacy" in legacy.titles(legacy.compute(PREDICTIONS))["vqa_accuracy"]


def test_the_variant_decides_the_numbers() -> None:
    question = Example(0, (Path("0.jpg"),), "?", {}, ("a dog",) * 9 + ("cat",), answer_type="other")
    equal = replace(question, id=1, answers=("a dog",) * 10)
    expected = {"official": 50.0, "legacy": 0.0, "normalized": 100.0}  # legacy leaves the references their articles
    for variant, value in expected.items():
        score = VQAScore([question, equal], EvaluateConfig(vqa_variant=variant))
        scores = score.compute({0: "dog", 1: "dog"})
        assert scores.values["vqa_accuracy"] == scores.values["vqa_accuracy/answer_type/other"] == value
        assert scores.per_example["vqa_accuracy"] == scores.per_example[f"vqa_accuracy_{variant}"]
        assert {name: scores.values[f"vqa_accuracy_{name}"] for name in expected} == expected
        assert score.titles(scores) == {"vqa_accuracy": TITLES[variant]}


def test_a_question_without_ten_answers_is_named() -> None:
    with pytest.raises(ValueError, match="question 7: VQA accuracy needs 10 answers per question, got 9"):
        VQAScore([replace(EXAMPLES[0], id=7, answers=("yes",) * 9)], EvaluateConfig()).compute({7: "yes"})


def test_a_split_without_answers_is_handed_in() -> None:
    scores = VQAScore(EXAMPLES[3:], EvaluateConfig()).compute(PREDICTIONS)
    assert scores.values == {} and "hand vqa_results.json in" in scores.not_computed["vqa_accuracy"]


def test_a_results_file_with_other_questions_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "vqa_results.json"
    with pytest.raises(ValueError, match=r"1 missing \(3\)"):
        VQAScore(EXAMPLES, EvaluateConfig()).write_results(file, {0: "yes", 1: "two", 2: "net"})
    assert not file.exists()
