"""The tuning runs of a variant."""

from __future__ import annotations

from pathlib import Path

from tests.made_up_runs import make_run, tuned_rate
from vlrouting.experiment import write_json_atomic
from vlrouting.report.comparison import Variant, compare_runs
from vlrouting.report.trials import tuning_of

METRIC = "validation/vqa_accuracy"


def test_trials_with_scores_failures_and_what_is_missing(tmp_path: Path) -> None:
    settings, tuned = tuned_rate(0.001, edges=["train.lr"])
    tuned |= {"trials": ["lr=0.0003", "lr=0.001", "lr=0.003", "lr=0.01", "lr=0.03"]}
    make_run(tmp_path, "a,seed=0", [100.0, 0.0], settings=settings, tuned=tuned)
    for rate, score in ((0.0003, 90.0), (0.001, 91.2), (0.003, float("nan"))):
        trial = make_run(tmp_path / "tuning", f"lr={rate}", settings={"train.lr": rate}, status="complete")
        trial.metrics.write_text(f'{{"{METRIC}": {str(score).replace("nan", "NaN")}}}')
    failed = make_run(tmp_path / "tuning", "lr=0.01", settings={"train.lr": 0.01}, status="failed", error="not finite")
    write_json_atomic(failed.metrics, {METRIC: 99.0})  # of an earlier attempt
    failed.update_run(diverged=True)
    (variant,) = compare_runs([tmp_path]).variants
    tuning = tuning_of(variant)
    assert tuning is not None and tuning.metric == METRIC and tuning.at_edge == ("train.lr",)
    assert [trial.values.get("train.lr") for trial in tuning.trials] == [0.0003, 0.001, 0.003, 0.01, None]
    assert [trial.score for trial in tuning.trials[:2]] == [90.0, 91.2]
    assert [trial.score for trial in tuning.trials[2:]] == [None] * 3 and tuning.trials[2].status == "unreadable"
    assert [trial.chosen for trial in tuning.trials] == [False, True, False, False, False]
    assert tuning.trials[3].status == "diverged" and tuning.trials[3].reason == "not finite"
    assert tuning.trials[4].status == "not started" and tuning.trials[4].described == "lr=0.03"
    assert tuning.trials[0].described == "train.lr = 0.0003"


def test_a_damaged_trial_says_so(tmp_path: Path) -> None:
    settings, tuned = tuned_rate()
    make_run(tmp_path, "a,seed=0", [100.0, 0.0], settings=settings, tuned=tuned)
    trial = make_run(tmp_path / "tuning", "lr=0.001", settings=settings, status="complete")
    write_json_atomic(trial.metrics, {METRIC: "much"})
    tuning = tuning_of(compare_runs([tmp_path]).variants[0])
    assert tuning is not None and tuning.trials[1].status == "unreadable" and tuning.trials[1].score is None


def test_nothing_was_tuned(tmp_path: Path) -> None:
    make_run(tmp_path, "a,seed=0", [100.0, 0.0])
    assert tuning_of(compare_runs([tmp_path]).variants[0]) is None
    assert tuning_of(Variant("x", "gone", "gone", ())) is None
