"""GQA's metrics against values computed by hand, rule by rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from vlrouting.metrics.gqa_evaluation import evaluate, write_results

SELECT = {"operation": "select", "dependencies": [], "argument": "sky (2486325)"}


def step(operation: str, argument: str) -> dict[str, Any]:
    """One operation of a program."""
    return {"operation": operation, "dependencies": [0], "argument": argument}


def question(
    answer: str,
    structural: str = "verify",
    semantic: str = "attr",
    detailed: str = "verifyAttr",
    program: tuple[dict[str, Any], ...] = (SELECT, step("verify color", "dark")),
    group: str | None = None,
    entailed: tuple[str, ...] = (),
    balanced: bool = True,
) -> dict[str, Any]:
    """A record with all the keys of the official file."""
    return {
        "semantic": list(program),
        "entailed": list(entailed),
        "equivalent": [],
        "question": "Is the sky dark?",
        "imageId": "2354786",
        "isBalanced": balanced,
        "groups": {"global": group, "local": "06-sky_dark"},
        "answer": answer,
        "semanticStr": "",
        "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
        "types": {"detailed": detailed, "semantic": semantic, "structural": structural},
        "fullAnswer": "",
    }


QUESTIONS: dict[str, dict[str, Any]] = {
    "0001": question("yes", entailed=("0001", "0002", "0005")),
    "0002": question("no", entailed=("0001",)),
    "0003": question(
        "pipe",
        structural="query",
        semantic="cat",
        detailed="categoryThat",
        program=(SELECT, step("relate", "to the left of,s (1)"), step("query", "name")),
        group="furniture",
        entailed=("0003", "0006"),
    ),
    "0004": question(
        "chair",
        structural="query",
        semantic="rel",
        detailed="relS",
        program=(SELECT, step("filter color", "red"), step("relate", "on,s (1)"), step("query", "name")),
        group="furniture",
    ),
    "0005": question("yes", entailed=("0001",), balanced=False),
    "0006": question("no", balanced=False),
    "0007": question(
        "color",
        structural="query",
        detailed="twoCommon",
        program=(SELECT, SELECT, step("common", "")),
        group="attribute",
    ),
    "0008": question("no", structural="logical", semantic="obj", program=(SELECT, step("exist", "?"))),
}
"""Six balanced questions and two unbalanced ones."""
PREDICTIONS = {
    "0001": "yes",  # correct; entails 0002 (wrong), 0005 (correct) and itself
    "0002": "yes",  # wrong, so the questions that it entails do not count
    "0003": "pipe",  # correct; the unbalanced 0006 is correct
    "0004": "Chair",  # wrong: answers are compared exactly
    "0005": "yes",
    "0006": "no",
    "0007": "material",  # wrong, but valid for a question about what two objects have in common
    "0008": "no",
}
CHOICES: dict[str, dict[str, list[str]]] = {
    "0001": {"valid": ["yes", "no"], "plausible": ["yes", "no"]},
    "0002": {"valid": ["yes", "no"], "plausible": ["no"]},
    "0003": {"valid": ["pipe", "chair"], "plausible": ["chair"]},
    "0004": {"valid": ["chair", "table"], "plausible": ["chair"]},
    "0007": {"valid": [], "plausible": []},
    "0008": {"valid": ["yes", "no"], "plausible": ["yes", "no"]},
}


def test_all_numbers_equal_those_computed_by_hand() -> None:
    result = evaluate(QUESTIONS, PREDICTIONS, CHOICES)
    assert result.pop("not_computed") == {}
    assert result == pytest.approx(
        {
            "accuracy": 100 * 3 / 6,  # 0001, 0003 and 0008 of six balanced ones
            "binary": 100 * 2 / 3,  # 0001 and 0008 of 0001, 0002, 0008
            "open": 100 * 1 / 3,  # 0003 of 0003, 0004, 0007
            "structural/verify": 100 * 1 / 2,
            "structural/query": 100 * 1 / 3,
            "structural/logical": 100.0,
            "semantic/attr": 100 * 1 / 3,  # 0001 of 0001, 0002, 0007
            "semantic/cat": 100.0,
            "semantic/rel": 0.0,
            "semantic/obj": 100.0,
            "steps/1": 100.0,  # 0008: "exist: ?" is no step
            "steps/2": 100 * 2 / 3,  # 0001, 0002, and 0003 without "query: name"
            "steps/3": 0.0,  # 0007, and 0004 without "query: name"
            "consistency": 100 * (1 / 2 + 1) / 2,  # 0001: one of two; 0003: one of one; 0008 entails nothing
            "validity": 100 * 5 / 6,  # all but "Chair"
            "plausibility": 100 * 3 / 6,  # 0001, 0007, 0008
            # furniture, two questions: pipe (1-1)²/1 + chair (0-1)²/1; "Chair" is not a gold answer and does not count.
            # attribute, one question: color (0-1)²/1.
            "distribution": (1 * 2 + 1 * 1) / 3 / 100,
        },
        abs=1e-9,
    )


def test_correct_predictions() -> None:
    result = evaluate(QUESTIONS, {qid: record["answer"] for qid, record in QUESTIONS.items()}, CHOICES)
    assert result["accuracy"] == result["consistency"] == result["validity"] == 100.0
    assert result["distribution"] == 0.0


@pytest.mark.parametrize("prediction", ["Yes", "yes ", "yes.", ""])
def test_answers_are_not_normalised(prediction: str) -> None:
    assert evaluate({"1": question("yes")}, {"1": prediction})["accuracy"] == 0.0


def test_unbalanced_questions_do_not_count() -> None:
    questions = {"1": question("yes"), "2": question("no", balanced=False), "3": question("no", balanced=False)}
    result = evaluate(questions, {"1": "yes", "2": "yes"})  # 3 needs no prediction
    assert (result["accuracy"], result["binary"], result["steps/2"]) == (100.0, 100.0, 100.0)
    assert "open" not in result


@pytest.mark.parametrize(
    ("operation", "argument", "steps"),
    [
        ("exist", "?", 1),
        ("query", "name", 1),
        ("query", "vposition", 2),
        ("query", "names", 1),  # the official code searches for the words in all of "operation: argument"
        ("choose name", "dog|cat", 1),
        ("choose color", "red|blue", 2),
        ("relate", "coexist,s (1)", 1),
        ("verify name", "dog", 2),
    ],
)
def test_what_counts_as_a_step(operation: str, argument: str, steps: int) -> None:
    result = evaluate({"1": question("yes", program=(SELECT, step(operation, argument)))}, {"1": "yes"})
    assert [key for key in result if key.startswith("steps/")] == [f"steps/{steps}"]


def test_distribution_weights_groups_by_their_questions() -> None:
    gold = {"a": ["red"] * 3 + ["blue"], "b": ["dog", "dog"]}
    guess = {"a": ["red", "blue", "blue", "green"], "b": ["dog", "dog"]}
    questions = {
        f"{group}{number}": question(answer, structural="query", group=group)
        for group, answers in gold.items()
        for number, answer in enumerate(answers)
    }
    predictions = {f"{group}{number}": answer for group in gold for number, answer in enumerate(guess[group])}
    questions["none"], predictions["none"] = question("yes"), "no"  # in no group
    questions["other"], predictions["other"] = question("red", group="a", balanced=False), "blue"
    # a: red (1-3)²/3, blue (2-1)²/1, weight 4; b: 0, weight 2
    expected = ((4 / 3 + 1) * 4 + 0 * 2) / 6 / 100
    assert evaluate(questions, predictions)["distribution"] == pytest.approx(expected, abs=1e-12)


def test_common_replaces_both_sets_of_choices() -> None:
    questions = {"1": question("color", detailed="twoCommon"), "2": question("color", detailed="verifyAttr")}
    choices = {qid: {"valid": ["color"], "plausible": ["color"]} for qid in questions}
    result = evaluate(questions, {"1": "shape", "2": "shape"}, choices)
    assert (result["validity"], result["plausibility"]) == (50.0, 50.0)
    result = evaluate(questions, {"1": "size", "2": "color"}, choices)
    assert (result["validity"], result["plausibility"]) == (50.0, 50.0)


# What cannot be computed


def test_missing_predictions_of_entailed_questions() -> None:
    predictions = {qid: answer for qid, answer in PREDICTIONS.items() if qid not in ("0005", "0006")}
    result = evaluate(QUESTIONS, predictions, CHOICES)
    assert "consistency" not in result and result["accuracy"] == 50.0
    assert result["not_computed"].keys() == {"consistency"}
    assert "predictions of 2 (0005, 0006) entailed" in result["not_computed"]["consistency"]
    assert "_all_questions file" in result["not_computed"]["consistency"]


def test_missing_records_of_entailed_questions() -> None:
    balanced = {qid: record for qid, record in QUESTIONS.items() if record["isBalanced"]}
    reason = evaluate(balanced, PREDICTIONS)["not_computed"]["consistency"]
    assert "records of 2 (0005, 0006) entailed" in reason and "predictions" not in reason


def test_entailed_questions_of_wrong_answers_are_not_needed() -> None:
    questions = {"1": question("yes", entailed=("9",)), "2": question("yes", entailed=("1",))}
    result = evaluate(questions, {"1": "no", "2": "yes"})
    assert result["consistency"] == 0.0 and "consistency" not in result["not_computed"]


def test_no_correct_question_entails_another() -> None:
    result = evaluate({"1": question("yes", entailed=("1",))}, {"1": "yes"})
    assert "no correctly answered question entails" in result["not_computed"]["consistency"]


def test_without_choices_and_groups() -> None:
    result = evaluate({"1": question("yes")}, {"1": "yes"})
    reasons = result["not_computed"]
    assert reasons.keys() == {"consistency", "validity", "plausibility", "distribution"}
    assert not reasons.keys() & result.keys()
    assert "val_choices.json" in reasons["validity"] and "val_choices.json" in reasons["plausibility"]
    assert "global group" in reasons["distribution"]


def test_choices_of_another_split() -> None:
    result = evaluate(QUESTIONS, PREDICTIONS, {"0001": CHOICES["0001"]})
    assert "no entry for 4 (0002, 0003, 0004, 0008)" in result["not_computed"]["validity"]
    assert result["not_computed"].keys() == {"validity", "plausibility"}


# Errors


def test_missing_predictions_of_balanced_questions() -> None:
    with pytest.raises(ValueError, match=r"without a prediction: 2 \(0002, 0004\)"):
        evaluate(QUESTIONS, {qid: "yes" for qid in QUESTIONS if qid not in ("0002", "0004")})
    many = {f"{number:04d}": question("yes") for number in range(9)}
    with pytest.raises(ValueError, match=r"9 \(0000, 0001, 0002, 0003, 0004 and 4 more\)"):
        evaluate(many, {})


def test_no_balanced_question() -> None:
    for questions in ({}, {"1": question("yes", balanced=False)}):
        with pytest.raises(ValueError, match="no question is balanced"):
            evaluate(questions, {"1": "yes"})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda record: record.pop("answer"), "answer"),
        (lambda record: record.pop("isBalanced"), "isBalanced"),
        (lambda record: record.pop("types"), "types.structural"),
        (lambda record: record["types"].pop("semantic"), "types.semantic"),
        (lambda record: record.pop("semantic"), "semantic"),
        (lambda record: record.pop("entailed"), "entailed"),
        (lambda record: record.pop("groups"), "groups.global"),
    ],
)
def test_incomplete_record(change: Callable[[Any], object], key: str) -> None:
    questions = deepcopy(QUESTIONS)
    change(questions["0001"])
    with pytest.raises(ValueError, match=rf"question 0001: the record has no '{key}'; give the official record"):
        evaluate(questions, PREDICTIONS, CHOICES)


# The predictions file


def test_predictions_file(tmp_path: Path) -> None:
    path = tmp_path / "results" / "gqa.json"
    write_results(path, {"201": "café", "02930152": "yes"}, ["201", "02930152"])
    assert json.loads(path.read_text(encoding="utf-8")) == [
        {"questionId": "02930152", "prediction": "yes"},
        {"questionId": "201", "prediction": "café"},
    ]
    assert [entry.name for entry in path.parent.iterdir()] == ["gqa.json"]


def test_predictions_with_other_ids_are_rejected_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gqa.json"
    with pytest.raises(ValueError, match=r"gqa\.json: .*1 missing \(01\); 1 unexpected \(1\)"):
        write_results(path, {"1": "yes"}, ["01"])  # leading zeros matter
    assert not any(tmp_path.iterdir())
