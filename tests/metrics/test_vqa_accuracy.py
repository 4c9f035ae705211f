"""VQA accuracy against values of the official evaluation code, the torchmetrics Metric and the results file."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from vlrouting.config.training import VQA_VARIANTS
from vlrouting.metrics.vqa_accuracy import VARIANT_NAMES, VQAAccuracy, normalize_answer, vqa_accuracy, write_results
from vlrouting.metrics.vqa_text import CONTRACTIONS

FIXTURES = Path(__file__).parents[1] / "fixtures"
ANSWER_TYPES = ("yes/no", "number", "other")
QUESTION_TYPES = ("is the", "how many", "what is this")

Batch = dict[str, list[Any]]


def read_fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def hand_made_batch() -> Batch:
    """Four questions of accuracy 1, 0.3, 0 and 0.6 (0.6: two of ten)."""
    return {
        "predictions": ["yes", "two", "3", "net"],
        "answers": [
            ["yes"] * 10,
            ["2"] + ["3"] * 9,
            ["4"] * 10,
            ["net"] * 2 + ["mesh"] * 8,
        ],
        "answer_types": ["yes/no", "number", "number", "other"],
        "question_types": ["is the", "how many", "how many", "is the"],
        "question_ids": [1, 2, 3, 4],
    }


def part(batch: Batch, begin: int, end: int) -> Batch:
    return {name: values[begin:end] for name, values in batch.items()}


EXPECTED = {
    "vqa_accuracy": 47.5,
    "vqa_accuracy/answer_type/yes/no": 100.0,
    "vqa_accuracy/answer_type/number": 15.0,
    "vqa_accuracy/answer_type/other": 60.0,
    "vqa_accuracy/question_type/is the": 80.0,
    "vqa_accuracy/question_type/how many": 15.0,
}


def new_metric(**options: Any) -> VQAAccuracy:
    return VQAAccuracy(ANSWER_TYPES, QUESTION_TYPES, **options)


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
    ("prediction", "answers", "official", "legacy"),
    [
        ("Yes", ["yes"] * 10, 0.0, 1.0),  # equal references: official compares them unchanged
        ("yes\n", [" yes"] * 10, 1.0, 0.0),  # legacy does not strip references
        ("2", ["two"] * 9 + ["2"], 1.0, 0.3),  # legacy keeps number words in references
        ("dog", ["a dog"] * 9 + ["Dog"], 1.0, 0.0),
        ("wow", ["wow!"] * 9 + ["oh"], 1.0, 0.0),  # legacy: "wow!" becomes "wow "
        ("yes", ["yes "] * 5 + ["yes"] * 5, 1.0, 1.0),  # equal once stripped
        ("Yes", ["yes "] * 5 + ["yes"] * 5, 0.0, 1.0),
    ],
)
def test_variants_differ(prediction: str, answers: list[str], official: float, legacy: float) -> None:
    assert vqa_accuracy(prediction, answers) == official
    assert vqa_accuracy(prediction, answers, "legacy") == legacy


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
    with pytest.raises(ValueError, match="unknown variant of VQA accuracy: 'new'; known: official, legacy"):
        vqa_accuracy("yes", ["yes"] * 10, variant="new")
    with pytest.raises(ValueError, match="unknown variant of VQA accuracy: 'new'"):
        VQAAccuracy(variant="new")


def test_variants_are_those_of_the_config() -> None:
    assert tuple(VARIANT_NAMES) == VQA_VARIANTS


# The metric


def test_metric_overall_and_per_type() -> None:
    metric = new_metric()
    metric.update(**hand_made_batch())
    assert metric.compute() == pytest.approx(EXPECTED, abs=1e-12)


def test_metric_equals_mean_of_single_questions() -> None:
    cases = read_fixture("vqa_accuracy.json")
    for variant, key in (("official", "accuracy"), ("legacy", "accuracy_legacy")):
        metric = VQAAccuracy(variant=variant)
        predictions, answers = [case["prediction"] for case in cases], [case["answers"] for case in cases]
        metric.update(predictions, answers, [], [], range(len(cases)))
        expected = 100 * sum(case[key] for case in cases) / len(cases)
        assert metric.compute() == {"vqa_accuracy": pytest.approx(expected, abs=1e-10)}


def test_metric_sums_over_batches_until_reset() -> None:
    metric = new_metric()
    for index in range(4):
        metric.update(**part(hand_made_batch(), index, index + 1))
    assert metric.compute() == pytest.approx(EXPECTED, abs=1e-12)
    metric.reset()
    metric.update(**part(hand_made_batch(), 0, 1))
    assert metric.compute()["vqa_accuracy"] == 100.0


def test_forward_returns_the_batch_value_and_updates_the_sums() -> None:
    metric = new_metric()
    assert metric(**part(hand_made_batch(), 0, 2))["vqa_accuracy"] == 65.0
    assert metric(**part(hand_made_batch(), 2, 4))["vqa_accuracy"] == 30.0
    assert metric.compute() == pytest.approx(EXPECTED, abs=1e-12)


def test_two_processes_with_unequal_numbers_of_questions() -> None:
    """Uses the synchronisation of torchmetrics, with the other process's state in place of the gathered one."""
    first, second = new_metric(), new_metric()
    first.update(**part(hand_made_batch(), 0, 3))
    second.update(**part(hand_made_batch(), 3, 4))
    first.distributed_available_fn = lambda: True
    first.dist_sync_fn = lambda state, group: [state, second.totals]
    assert first.compute() == pytest.approx(EXPECTED, abs=1e-12)
    assert first.totals[1, 0] == 3  # it keeps its own part afterwards


def test_metric_survives_pickling_and_conversion_to_half() -> None:
    metric = new_metric()
    metric.update(**hand_made_batch())
    copy = pickle.loads(pickle.dumps(metric)).to(torch.float16)
    assert copy.compute() == pytest.approx(EXPECTED, abs=1e-12)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_a_metric_without_questions_returns_nothing() -> None:
    assert new_metric().compute() == {}
    metric = new_metric()
    metric.update([], [], [], [], [])
    assert metric.compute() == {}


def test_describe_names_the_variant() -> None:
    assert VQAAccuracy().describe() == "VQA accuracy (official evaluation code, 2021 variant)"
    assert "legacy" in VQAAccuracy(variant="legacy").describe()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("answer_types", "colour", "question 4: unknown answer_type 'colour'; known: yes/no, number, other"),
        ("question_types", "", "question 4: unknown question_type ''"),
        ("answers", ["net"] * 9, "question 4: VQA accuracy needs 10 answers per question, got 9"),
    ],
)
def test_an_invalid_question_is_reported_and_not_counted(name: str, value: Any, message: str) -> None:
    metric, batch = new_metric(), hand_made_batch()
    batch[name][3] = value
    with pytest.raises(ValueError, match=message):
        metric.update(**batch)
    assert metric.totals.sum() == 0


@pytest.mark.parametrize("name", list(hand_made_batch()))
def test_different_lengths_are_an_error(name: str) -> None:
    batch = hand_made_batch()
    batch[name].pop()
    with pytest.raises(ValueError, match=f"3 {name.removesuffix('s')}"):
        new_metric().update(**batch)


def test_type_declared_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="answer_type 'other' is declared twice"):
        VQAAccuracy(answer_types=("other", "other"))


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
