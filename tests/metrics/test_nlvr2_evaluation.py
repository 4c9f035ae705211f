"""NLVR2's metrics against values computed by hand, and the predictions file."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlrouting.metrics.nlvr2_evaluation import evaluate, write_results

RECORDS = [
    {"identifier": "dev-850-0-0", "label": "False", "sentence": "There is an empty glass."},
    {"identifier": "dev-850-1-0", "label": "True", "sentence": "There is an empty glass."},
    {"identifier": "dev-850-2-0", "label": "True", "sentence": "There is an empty glass."},
    {"identifier": "dev-850-0-1", "label": "True", "sentence": "There are two glasses."},
    {"identifier": "dev-851-0-0", "label": "True", "sentence": "A dog lies on grass."},
    {"identifier": "test1-850-0-0", "label": "False", "sentence": "Another split."},
]
"""Four statements: two of set 850, one of 851, one of another split."""
RIGHT = {record["identifier"]: record["label"] for record in RECORDS}


def test_all_numbers_equal_those_computed_by_hand() -> None:
    assert evaluate(RECORDS, RIGHT) == {"accuracy": 1.0, "consistency": 1.0}
    predictions = RIGHT | {"dev-850-2-0": "False"}  # one pair of the first statement
    assert evaluate(RECORDS, predictions) == {"accuracy": 5 / 6, "consistency": 3 / 4}
    for pair in "012":  # whichever pair of the statement is wrong
        wrong = RIGHT | {f"dev-850-{pair}-0": {"True": "False", "False": "True"}[RIGHT[f"dev-850-{pair}-0"]]}
        assert evaluate(RECORDS, wrong) == {"accuracy": 5 / 6, "consistency": 3 / 4}
    predictions |= {"dev-850-1-0": "False", "dev-851-0-0": "False"}
    assert evaluate(RECORDS, predictions) == {"accuracy": 3 / 6, "consistency": 2 / 4}
    assert evaluate(RECORDS, {identifier: "maybe" for identifier in RIGHT}) == {"accuracy": 0.0, "consistency": 0.0}


@pytest.mark.parametrize("wrong", ["dev-850-0-0", "dev-850-1-0", "dev-850-2-0"])
def test_one_wrong_pair_makes_its_statement_inconsistent_wherever_it_stands(wrong: str) -> None:
    other = {"True": "False", "False": "True"}[RIGHT[wrong]]
    assert evaluate(RECORDS, RIGHT | {wrong: other}) == {"accuracy": 5 / 6, "consistency": 3 / 4}


def test_case_does_not_matter() -> None:
    lower = {identifier: label.lower() for identifier, label in RIGHT.items()}
    assert evaluate(RECORDS, lower) == {"accuracy": 1.0, "consistency": 1.0}
    records = [record | {"label": record["label"].upper()} for record in RECORDS]
    assert evaluate(records, lower)["accuracy"] == 1.0


def test_predictions_of_other_records_are_ignored() -> None:
    assert evaluate(RECORDS[:1], RIGHT) == {"accuracy": 1.0, "consistency": 1.0}


def test_missing_predictions_are_listed() -> None:
    with pytest.raises(ValueError, match=r"without a prediction: 2 \(dev-850-0-1, dev-851-0-0\)"):
        evaluate(RECORDS, {i: label for i, label in RIGHT.items() if i not in ("dev-850-0-1", "dev-851-0-0")})


def test_invalid_records() -> None:
    with pytest.raises(ValueError, match="nothing to score"):
        evaluate([], RIGHT)
    with pytest.raises(ValueError, match="record dev-850-0-0 has no label"):
        evaluate([{"identifier": "dev-850-0-0"}], RIGHT)
    with pytest.raises(ValueError, match="'dev-850' is not of the form split-set-pair-sentence"):
        evaluate([{"identifier": "dev-850", "label": "True"}], {"dev-850": "True"})


def test_predictions_file(tmp_path: Path) -> None:
    path = tmp_path / "results" / "nlvr2.csv"
    write_results(path, {"dev-850-1-0": "true", "dev-850-0-0": "False"}, ["dev-850-0-0", "dev-850-1-0"])
    assert path.read_text(encoding="utf-8") == "dev-850-0-0,False\ndev-850-1-0,true\n"


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"dev-850-0-0": "true,"}, r"do not fit a line: 1 \(dev-850-0-0: 'true,'\)"),
        ({"dev-850-0-0": "true\nfalse"}, "do not fit a line"),
        ({"dev-850-0-0": " "}, "do not fit a line"),
        ({"dev-850-0-1": "true"}, r"1 missing \(dev-850-0-0\); 1 unexpected \(dev-850-0-1\)"),
    ],
)
def test_invalid_predictions_are_rejected(tmp_path: Path, predictions: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_results(tmp_path / "nlvr2.csv", predictions, ["dev-850-0-0"])
    assert not any(tmp_path.iterdir())
