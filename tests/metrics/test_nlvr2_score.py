"""NLVR2's score over a split: gathered over batches, in percent, and the results file."""

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


def scored() -> NLVR2Score:
    score = NLVR2Score(EXAMPLES, EvaluateConfig())
    for start in (0, 2, 4):
        score.update(SAID[start : start + 2], EXAMPLES[start : start + 2])
    return score


def test_numbers_in_percent() -> None:
    score = scored()
    assert METRICS.load("nlvr2") is NLVR2Score
    assert score.compute() == pytest.approx({"accuracy": 100 * 4 / 6, "consistency": 100 * 2 / 4})
    assert score.not_computed() == {}
    assert list(score.titles()) == ["accuracy", "consistency"] and score.main == "accuracy"
    fractions = evaluate(RECORDS, dict(zip([e.id for e in EXAMPLES], SAID, strict=True)))
    assert score.compute() == pytest.approx({name: 100 * value for name, value in fractions.items()})


def test_a_statement_predicted_twice_counts_once() -> None:
    score = scored()
    score.update(SAID[:2], EXAMPLES[:2])  # duplicates, as a sampler adds them to another process's last batch
    assert score.compute() == scored().compute()


def test_reset_before_a_second_evaluation() -> None:
    score = scored()
    score.compute()
    score.metric.reset()
    score.update([e.answer for e in EXAMPLES], EXAMPLES)
    assert score.compute() == {"accuracy": 100.0, "consistency": 100.0}


def test_a_missing_prediction_is_reported() -> None:
    score = NLVR2Score(EXAMPLES, EvaluateConfig())
    score.update(SAID[:5], EXAMPLES[:5])
    with pytest.raises(ValueError, match=r"without a prediction: 1 \(test1-850-0-0\)"):
        score.compute()


def test_results_file_of_the_hidden_test_set(tmp_path: Path) -> None:
    hidden = [example(record["identifier"], "") for record in RECORDS]
    score = NLVR2Score(hidden, EvaluateConfig())
    score.update(SAID, hidden)
    assert score.compute() == {}
    assert "hand nlvr2_results.csv in to the evaluation server" in score.not_computed()["accuracy"]
    predictions = dict(zip([e.id for e in hidden], SAID, strict=True))
    score.write_results(tmp_path / score.results_file, predictions)
    lines = (tmp_path / "nlvr2_results.csv").read_text().splitlines()
    assert lines[0] == "dev-850-0-0,false" and len(lines) == len(RECORDS)
    with pytest.raises(ValueError, match="neither true nor false"):
        score.write_results(tmp_path / "x.csv", {**predictions, "dev-850-0-0": "maybe"})
