"""What is read from run directories, from made-up ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.made_up_runs import METRIC, make_run
from vlrouting.config import ExperimentConfig
from vlrouting.experiment import RunDirectory, UserError, to_yaml, write_json_atomic
from vlrouting.report import compare_runs
from vlrouting.report.rows import collect, metric_keys

NINE = [98.0123456789]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An experiment with complete points, one interrupted, one failed, one corrupt and one not started."""
    folder = tmp_path / "runs" / "x"
    make_run(folder, "routing=mul", NINE, settings={"bottleneck.routing": "mul"}, seed=42)
    make_run(folder, "routing=none", [91.25])
    make_run(folder, "text_only", [55.5], settings={"model.visual_input": "none"})
    interrupted = make_run(folder, "routing=add")
    write_json_atomic(interrupted.metrics, {METRIC: 99.9})  # from an earlier attempt
    make_run(folder, "routing=gram", status="failed", error="Loss is | not a number\nat step 3")
    make_run(folder, "routing=self", [97.0]).metrics.write_text('{"test/vqa_accuracy": 97')
    RunDirectory(folder / "routing=expand").prepare(to_yaml(ExperimentConfig()))
    (folder / "notes").mkdir()
    (folder / "comparison.md").write_text("old")
    return folder


def test_complete_rows_come_first_and_others_have_no_numbers(runs: Path) -> None:
    rows = collect(runs)
    assert [(row.variant, row.status, row.main) for row in rows] == [
        ("routing=mul", "complete", 98.0123456789),
        ("routing=none", "complete", 91.25),
        ("text_only", "complete", 55.5),
        ("routing=add", "running", None),
        ("routing=expand", "not started", None),
        ("routing=gram", "failed", None),
        ("routing=self", "unreadable", None),
    ]
    assert "metrics.json is " in rows[-1].reason and {row.experiment for row in rows} == {"x"}
    mul = rows[0]
    assert (mul.trainable_parameters, mul.total_parameters, mul.seconds, mul.seed) == (2_500, 100_000, 75.4, 42)


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "metrics.json"])
def test_each_corrupt_file_is_named(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path, "a", [1.0])
    (run.path / name).write_text("{[")
    (row,) = collect(tmp_path)
    assert row.status == "unreadable" and name in row.reason and row.metrics == {}


@pytest.mark.parametrize(
    "line", ["{[", '{"id": 1}', '{"id": 1, "score": 1, "cluster": "a", "scores": {"vqa_accuracy": "x"}}', "[1]", ""]
)
def test_a_damaged_predictions_file_costs_the_interval_alone(tmp_path: Path, line: str) -> None:
    run = make_run(tmp_path, "a", [50.0, 60.0, 70.0])
    run.predictions.write_text(line)
    found = compare_runs([tmp_path])
    assert found.variants[0].mean(METRIC) == 60 and found.variants[0].intervals == {}
    (flag,) = found.flags
    assert "predictions.jsonl" in flag and f"vlrouting evaluate {tmp_path.name}" in flag


def test_complete_without_its_metric_is_unreadable(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", [1.0])
    write_json_atomic(run.metrics, {"test/loss": 1.0})
    (row,) = collect(tmp_path)
    assert (row.status, row.main) == ("unreadable", None) and "has no 'test/vqa_accuracy'" in row.reason
    assert collect(tmp_path / "nowhere") == []
    with pytest.raises(UserError, match="holds no runs"):
        compare_runs([tmp_path / "nowhere"])


def test_metrics_of_a_part_of_the_examples_are_none_of_a_table(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", [1.0])
    extra = {"test/vqa_accuracy/yes_no": 1.0, "test/loss": 0.5, "validation/vqa_accuracy": 2.0}
    write_json_atomic(run.metrics, {METRIC: 1.0, **extra})
    assert metric_keys(collect(tmp_path)) == [METRIC, "test/loss"]


def test_variants_are_sorted_by_value(tmp_path: Path) -> None:
    expected = ["lr=1e-05", "lr=0.0003", "lr=0.001", "lr=0.01", "lr=1", "rank=8", "rank=64", "vit_8", "vit_16"]
    assert [float(name[3:]) for name in expected[:5]] == sorted(float(name[3:]) for name in expected[:5])
    for name in [*expected[::2], *expected[1::2]]:
        make_run(tmp_path, f"{name},routing=add", [1.0])
    assert [row.variant for row in collect(tmp_path)] == [f"{name},routing=add" for name in expected]
