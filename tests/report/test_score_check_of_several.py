"""`vlrouting score` on the run of several datasets: each is checked by its own metric, and the mean of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import vlrouting
from tests.report.test_score_check import ROOT, WORLDS, read_records, write_records
from vlrouting.config import DATASETS, METRICS, EvaluateConfig, ExperimentConfig
from vlrouting.config.datasets import NamedDatasetConfig
from vlrouting.data.example import Example
from vlrouting.experiment import RunDirectory, to_yaml, write_json_atomic
from vlrouting.report.score_check import check_run
from vlrouting.tasks.prediction_records import prediction_records

PLAIN = [
    Example(number, (ROOT / f"val/{number}.jpg",), "", {}, (f"a {of} dog", "a dog"))
    for number, of in enumerate(("red", "big", "wet"), 1)
]
"""Captions that need no Java."""
OF_NAME = {**WORLDS, "coco": (PLAIN, {1: "a red dog", 2: "a dog", 3: "a cat"})}
NAMES = {"questions": "vqav2", "pairs": "nlvr2", "captions": "coco"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """Ids of two datasets are the same; one has a task of its own."""
    monkeypatch.setenv("PATH", "/nowhere")  # no Java: it takes seconds
    run = RunDirectory(tmp_path / "runs" / "made_up" / "routing=mul")
    run.path.mkdir(parents=True)
    datasets, records, metrics, mains, lacking = {}, [], {}, [], {}
    for own, name in NAMES.items():
        task = "captioning" if name == "coco" else "vqa_generation"
        datasets[own] = NamedDatasetConfig(name=name, root=str(ROOT), task=task)
        examples, predictions = OF_NAME[name]
        score = METRICS.load(DATASETS.facts(name).metric(task))(examples, EvaluateConfig())
        scores = score.compute(predictions)
        found = prediction_records(score, predictions, scores, ROOT)
        records += [{"id": record["id"], "dataset": own, **record} for record in found]
        metrics |= {f"test/{own}/{key}": value for key, value in scores.values.items()}
        metrics[f"test/{own}/examples"] = len(found)
        mains.append(scores.values[score.main])
        lacking |= {f"{own}/{key}": why for key, why in scores.not_computed.items()}
    metrics["test/mean"] = sum(mains) / len(mains)
    run.config.write_text(to_yaml(ExperimentConfig(datasets=datasets)))
    write_records(run, records)
    write_json_atomic(run.metrics, metrics)
    run.update_run(status="complete", main_metric="test/mean", not_computed=lacking)
    return run


def only_difference(run: RunDirectory) -> tuple[str, object]:
    checked = check_run(run, "point")
    assert not checked.problem and len(checked.differences) == 1, checked
    return checked.differences[0].name, checked.differences[0].stored


def changed(run: RunDirectory, of: str, **fields: Any) -> None:
    """The first record of a dataset with other fields."""
    records = read_records(run)
    next(record for record in records if record["dataset"] == of).update(fields)
    write_records(run, records)


def test_every_number_of_every_dataset_and_their_mean_are_computed_again(run: RunDirectory) -> None:
    checked = check_run(run, "point")
    assert checked.agrees and not checked.not_checked, checked
    assert checked.examples == sum(len(OF_NAME[name][0]) for name in NAMES.values())
    assert checked.numbers == len(run.read_metrics())
    done = vlrouting("score", "--check", run.path)
    assert done.returncode == 0 and "as stored" in done.stdout


def test_what_was_changed_in_one_dataset_is_found_there(run: RunDirectory) -> None:
    metrics = run.read_metrics()
    write_json_atomic(run.metrics, {**metrics, "test/pairs/consistency": 1.5})
    assert only_difference(run) == ("test/pairs/consistency", 1.5)
    write_json_atomic(run.metrics, {**metrics, "test/mean": 1.5})
    assert only_difference(run) == ("test/mean", 1.5)
    write_json_atomic(run.metrics, metrics)
    changed(run, "pairs", cluster="elsewhere")
    (record, *_) = [record for record in read_records(run) if record["dataset"] == "pairs"]
    assert only_difference(run) == (f"cluster of example {record['id']} of pairs", "elsewhere")


@pytest.mark.parametrize(
    ("fields", "text"),
    [({"dataset": "other"}, "'dataset' is none of questions, pairs, captions"), ({"score": "5"}, "'score' must be")],
)
def test_a_damaged_record_is_named(run: RunDirectory, fields: dict[str, Any], text: str) -> None:
    changed(run, "captions", **fields)
    assert text in check_run(run, "point").problem


def test_a_number_that_is_gone_needs_the_evaluation(run: RunDirectory) -> None:
    metrics = run.read_metrics()
    del metrics["test/questions/vqa_accuracy"]
    write_json_atomic(run.metrics, metrics)
    assert "lacks questions/vqa_accuracy in metrics.json" in check_run(run, "point").problem
    config = yaml.safe_load(run.config.read_text())
    run.config.write_text(yaml.safe_dump({**config, "datasets": [1]}))
    assert "is damaged" in check_run(run, "point").problem


def test_the_captions_among_them_are_scored(run: RunDirectory, tmp_path: Path) -> None:
    done = vlrouting("score", run.predictions, "--per-image", tmp_path / "images.json")
    assert done.returncode == 0 and "captions: 3 images" in done.stdout
    assert json.loads((tmp_path / "images.json").read_text()).keys() == {"captions"}
    records = [record for record in read_records(run) if record["dataset"] != "captions"]
    write_records(run, records)
    done = vlrouting("score", run.predictions)
    assert done.returncode == 2 and f"vlrouting score --check {run.path}" in done.stderr
