"""`train.early_stopping`: when the training ends, what is said of it, and that an interruption changes nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.event_curves import curve
from tests.training.test_resume import assert_same, stop_at
from vlrouting.data.loading.batch import Batch
from vlrouting.experiment import Experiment, ExperimentErrors, RunDirectory
from vlrouting.launch.in_process import train
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.checkpoints import read_checkpoint
from vlrouting.training.interruption import Cancelled

Make = Callable[..., Experiment]
Run = Callable[..., RunDirectory]
SCORES = [10.0, 20.0, 20.4, 20.2, 90.0]
"""Of the validations after the steps 2, 4, 6, 8 and 10."""


@pytest.fixture(autouse=True)
def scripted_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The validation scores are SCORES, by step."""
    end = TaskModule.on_validation_epoch_end

    def scripted(self: TaskModule) -> None:
        end(self)
        self.scores["validation/vqa_accuracy"] = SCORES[self.global_step // 2 - 1]

    monkeypatch.setattr(TaskModule, "on_validation_epoch_end", scripted)


def stopping(**keys: object) -> dict[str, object]:
    return {"validate_every_steps": 2, "checkpoint_every_steps": 3, "early_stopping": keys}


@pytest.mark.parametrize(
    ("keys", "last", "best"),
    [
        ({"patience": 1, "min_delta": 0.5}, 6, "20.00"),  # 20.4 is not better by 0.5
        ({"patience": 2, "min_delta": 0.5}, 8, "20.00"),
        ({"patience": 1}, 8, "20.40"),  # 20.2 is the first that is not better
        ({"patience": 2}, 10, None),  # 90 is better in time
    ],
)
def test_it_ends_after_so_many_validations_without_a_better_score(
    keys: dict[str, object], last: int, best: str | None, experiment: Make, run: Run
) -> None:
    done = run(experiment(train=stopping(**keys)))
    facts = done.read_run()
    assert facts["status"] == "complete" and done.is_complete()
    assert read_checkpoint(done.last)["global_step"] == last
    assert [step for step, _ in curve(done, "train/loss")] == [*range(1, last + 1)]
    assert [step for step, _ in curve(done, "test/vqa_accuracy")] == [last]
    if best is None:
        assert facts["stopped_early"] is None
    else:
        for fact in ("validation/vqa_accuracy", f"step {last} of 10", best):
            assert fact in str(facts["stopped_early"])


@pytest.mark.parametrize("at", [5, "last validation", "test"])
def test_an_interruption_changes_nothing(
    at: int | str, experiment: Make, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one after the decision, in the validation that leads to it or in the test: it is not trained further."""
    point = experiment(train=stopping(patience=2, min_delta=0.5), evaluate={"checkpoint": "best"})
    whole = run(point, "whole")
    with monkeypatch.context() as patch:
        if isinstance(at, int):
            stop_at(patch, at, signal.SIGTERM)
        else:
            method, step = ("test_step", broken_off) if at == "test" else ("validation_step", told_to_stop)
            patch.setattr(TaskModule, method, step)
        with pytest.raises((Cancelled, SystemExit)):
            train(point, point.points, tmp_path / "cut")
    cut = run(point, "cut")
    assert_same(whole, cut)
    assert cut.read_run()["stopped_early"] == whole.read_run()["stopped_early"]
    assert [step for step, _ in curve(cut, "train/loss")] == [*range(1, 9)]


def broken_off(self: TaskModule, batch: object, batch_index: int) -> None:
    raise KeyboardInterrupt


def told_to_stop(self: TaskModule, batch: Batch, batch_index: int, original: Any = TaskModule.validation_step) -> None:
    if self.global_step == 8 and batch_index == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    original(self, batch, batch_index)


def test_it_is_refused_without_a_validation_and_with_other_keys(experiment: Make) -> None:
    with pytest.raises(ExperimentErrors, match=r"train\.early_stopping.*data\.validation: early stopping needs a val"):
        experiment(train={"early_stopping": {"patience": 3}}, data={"validation": None})
    for key, value in (("patience", 0), ("min_delta", -1)):
        with pytest.raises(ExperimentErrors, match=rf"train\.early_stopping\.{key}"):
            experiment(train={"early_stopping": {key: value}})
    point = experiment("train.early_stopping.patience=7", train={"early_stopping": {"min_delta": 1}})
    found = point.points[0].config.train.early_stopping
    assert found is not None and (found.patience, found.min_delta) == (7, 1)
    assert experiment().points[0].config.train.early_stopping is None
