"""VQA accuracy against values of the official evaluation code, and the results file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from vlrouting.config.training import VQA_VARIANTS
from vlrouting.metrics.vqa_accuracy import TITLES, normalize_answer, vqa_accuracy, write_results
from vlrouting.metrics.vqa_text import CONTRACTIONS

FIXTURES = Path(__file__).parents[1] / "fixtures"


def read_fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


# Normalisation


@pytest.mark.parametrize("case", read_fixture("vqa_normalize.json"), ids=lambda case: repr(case["input"]))
def test_normalize_answer_equals_official_code(case: dict[str, str]) -> None:
    assert normalize_answer(case["input"]) == case["output"]


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("t-shirt", "t shirt"),
        ("red/blue 1,000", "redblue 1000"),
        ("yes/no/ maybe", "yesno maybe"),
        ("hello.there", "hellothere"),
        ("2.5", "2.5"),
        ("٣,٤", "٣٤"),
        ("A\u00a0dog", "dog"),
        ("None of the eleven", "0 of eleven"),
        ("Im", "im"),
        ("somebody'd", "somebodyd"),
        ("." * 40 + "x", "." * 8 + "x"),
    ],
)
def test_normalize_answer_keeps_the_quirks(text: str, normalized: str) -> None:
    assert normalize_answer(text) == normalized


def test_contractions_are_the_official_table() -> None:
    assert read_fixture("vqa_contractions.json") == CONTRACTIONS


# Accuracy of one question


@pytest.mark.parametrize("case", read_fixture("vqa_accuracy.json"), ids=lambda case: repr(case["prediction"]))
def test_accuracy_equals_official_code(case: dict[str, Any]) -> None:
    official = vqa_accuracy(case["prediction"], case["answers"])
    assert official == pytest.approx(case["accuracy"], abs=1e-12)
    assert round(100 * official, 2) == case["accuracy_pct_n2"]
    legacy = vqa_accuracy(case["prediction"], case["answers"], variant="legacy")
    assert legacy == pytest.approx(case["accuracy_legacy"], abs=1e-12)


@pytest.mark.parametrize("matches", range(11))
def test_accuracy_is_the_mean_over_leave_one_out_subsets(matches: int) -> None:
    answers = ["cat"] * matches + ["dog"] * (10 - matches)
    subsets = [answers[:left_out] + answers[left_out + 1 :] for left_out in range(10)]
    expected = sum(min(1.0, subset.count("cat") / 3) for subset in subsets) / 10
    assert vqa_accuracy("cat", answers) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("prediction", "answers", "official", "legacy", "normalized"),
    [
        ("Yes", ["yes"] * 10, 0.0, 1.0, 1.0),  # equal references: official compares them unchanged
        ("yes\n", [" yes"] * 10, 1.0, 0.0, 1.0),  # legacy does not strip references
        ("two", ["two"] * 10, 1.0, 0.0, 1.0),  # legacy normalises the prediction alone
        ("2", ["two"] * 10, 0.0, 0.0, 1.0),
        ("2", ["two"] * 9 + ["2"], 1.0, 0.3, 1.0),  # legacy keeps number words in references
        ("dog", ["a dog"] * 9 + ["Dog"], 1.0, 0.0, 1.0),
        ("wow", ["wow!"] * 9 + ["oh"], 1.0, 0.0, 1.0),  # legacy: "wow!" becomes "wow "
        ("yes", ["yes "] * 5 + ["yes"] * 5, 1.0, 1.0, 1.0),  # equal once stripped
        ("Yes", ["yes "] * 5 + ["yes"] * 5, 0.0, 1.0, 1.0),
        ("the", [""] * 2 + ["a", *["x"] * 7], 0.9, 0.6, 0.9),  # nothing is left of an article
    ],
)
def test_variants_differ(
    prediction: str, answers: list[str], official: float, legacy: float, normalized: float
) -> None:
    assert vqa_accuracy(prediction, answers) == official
    assert vqa_accuracy(prediction, answers, "legacy") == legacy
    assert vqa_accuracy(prediction, answers, "normalized") == normalized


@pytest.mark.parametrize("case", read_fixture("vqa_accuracy.json"), ids=lambda case: repr(case["prediction"]))
def test_normalized_is_official_where_the_references_differ(case: dict[str, Any]) -> None:
    prediction, answers = case["prediction"], case["answers"]
    both = vqa_accuracy(prediction, answers), vqa_accuracy(prediction, answers, "normalized")
    assert both[0] == both[1] or (len({answer.strip() for answer in answers}) == 1 and both[0] < both[1])


def test_the_arguments_are_not_changed() -> None:
    answers = ["Two!", *["2"] * 9]
    vqa_accuracy("2", answers)
    assert answers == ["Two!", *["2"] * 9]


@pytest.mark.parametrize("answers", [[], ["yes"] * 9, ["yes"] * 11])
def test_other_than_ten_answers_is_an_error(answers: list[str]) -> None:
    with pytest.raises(ValueError, match=f"10 answers per question, got {len(answers)}"):
        vqa_accuracy("yes", answers)


def test_one_string_is_not_ten_answers() -> None:
    with pytest.raises(ValueError, match="got a single string"):
        vqa_accuracy("helicopter", "helicopter")


def test_unknown_variant() -> None:
    with pytest.raises(ValueError, match="unknown variant of VQA accuracy: 'new'; known: official, legacy, normalized"):
        vqa_accuracy("yes", ["yes"] * 10, variant="new")


def test_variants_are_those_of_the_config() -> None:
    assert tuple(TITLES) == VQA_VARIANTS
    assert "2021" in TITLES["official"] and "legacy" in TITLES["legacy"]


# The results file


def test_results_file(tmp_path: Path) -> None:
    path = tmp_path / "results" / "vqa.json"
    write_results(path, {458752001: "café", 458752000: "net"}, [458752000, 458752001])
    assert json.loads(path.read_text(encoding="utf-8")) == [
        {"question_id": 458752000, "answer": "net"},
        {"question_id": 458752001, "answer": "café"},
    ]
    assert [entry.name for entry in path.parent.iterdir()] == ["vqa.json"]


def test_results_with_other_ids_are_rejected_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "vqa.json"
    path.write_text("earlier")
    message = r"7 missing \(1, 2, 3, 4, 5 and 2 more\); 2 unexpected \(98, 99\)"
    with pytest.raises(ValueError, match=message):
        write_results(path, {0: "a", 98: "b", 99: "c"}, range(8))
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_while_writing_keeps_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vqa.json"
    write_results(path, {1: "earlier"}, [1])

    def fail(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_results(path, {1: "later"}, [1])
    assert json.loads(path.read_text()) == [{"question_id": 1, "answer": "earlier"}]
    assert list(tmp_path.iterdir()) == [path]
