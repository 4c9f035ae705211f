"""NLVR2's score over a split: gathered over batches, in percent, with the server's file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.metrics.test_nlvr2_evaluation import RECORDS
from vlrouting.config import METRICS, EvaluateConfig
from vlrouting.metrics.nlvr2_evaluation import evaluate
from vlrouting.metrics.nlvr2_score import NLVR2Score


def example(identifier: str, answer: str) -> SimpleNamespace:
    return SimpleNamespace(id=identifier, answer=answer, answers=(answer,) if answer else ())


EXAMPLES = [example(record["identifier"], record["label"].lower()) for record in RECORDS]
SAID = ["false", "true", "false", "true", "false", "false"]
"""Wrong for one pair of the first statement of three pairs, and for the statement of set 851."""


PREDICTIONS = dict(zip([example.id for example in EXAMPLES], SAID, strict=True))


def test_numbers_in_percent_by_hand() -> None:
    score = NLVR2Score(EXAMPLES, EvaluateConfig())
    assert METRICS.load("nlvr2") is NLVR2Score
    scores = score.compute(PREDICTIONS)
    assert scores.values == pytest.approx({"accuracy": 100 * 4 / 6, "consistency": 100 * 2 / 4})
    assert scores.not_computed == {}
    assert list(score.titles(scores)) == ["accuracy", "consistency"] and score.main == "accuracy"
    fractions = evaluate(RECORDS, PREDICTIONS)
    assert scores.values == pytest.approx({name: 100 * value for name, value in fractions.items()})


def test_every_statement_has_a_number_and_the_sets_images_a_cluster() -> None:
    score = NLVR2Score(EXAMPLES, EvaluateConfig())
    correct = score.compute(PREDICTIONS).per_example["accuracy"]
    assert correct == {e.id: 100.0 * (e.answer == said) for e, said in zip(EXAMPLES, SAID, strict=True)}
    assert score.cluster(EXAMPLES[0], ["images/a.png", "images/b.png"]) == "dev-850"


def test_a_missing_prediction_is_named() -> None:
    score = NLVR2Score(EXAMPLES, EvaluateConfig())
    with pytest.raises(ValueError, match=r"without a prediction: 1 \(test1-850-0-0\)"):
        score.compute(dict(list(PREDICTIONS.items())[:5]))


def test_the_hidden_test_set_is_handed_in(tmp_path: Path) -> None:
    hidden = [example(record["identifier"], "") for record in RECORDS]
    score = NLVR2Score(hidden, EvaluateConfig())
    scores = score.compute(PREDICTIONS)
    assert scores.values == {}
    assert "hand nlvr2_results.csv in to the evaluation server" in scores.not_computed["accuracy"]
    predictions = dict(zip([e.id for e in hidden], SAID, strict=True))
    score.write_results(tmp_path / score.results_file, predictions)
    lines = (tmp_path / "nlvr2_results.csv").read_text().splitlines()
    assert lines[0] == "dev-850-0-0,false" and len(lines) == len(RECORDS)
    for generated, field in (("true, I\nthink", "true I think"), ("", "-")):  # any text may be generated
        score.write_results(tmp_path / "x.csv", {**predictions, "dev-850-0-0": generated})
        assert (tmp_path / "x.csv").read_text().splitlines()[0] == f"dev-850-0-0,{field}"
