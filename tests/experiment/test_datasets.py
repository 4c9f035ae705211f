"""`datasets`: several datasets in place of `data`, each checked under its own name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.config import DataConfig, ExperimentConfig, NamedDatasetConfig, TrainConfig
from vlrouting.experiment import config_from_dict, load, to_yaml
from vlrouting.experiment.resolve import plain
from vlrouting.training.user_errors import missing_files_of

SEVERAL = """extends: [base/short]
task: vqa_generation
train.batch_size: 8
datasets:
  vqa: {validation: held}
  captions: {name: coco, task: captioning, batch_size: 4, generate: {beams: 5}}
"""


def lines(experiments: Path, more: str) -> list[str]:
    write(experiments, "x", SEVERAL + more)
    return error_lines()


def test_the_point_as_each_dataset_has_it(experiments: Path) -> None:
    write(experiments, "x", SEVERAL)
    (point,) = load("x").points
    vqa, captions = point.config.per_dataset.values()
    assert list(point.config.per_dataset) == ["vqa", "captions"]
    assert (vqa.task, vqa.train.batch_size, vqa.generate.beams, vqa.metric) == ("vqa_generation", 8, 1, "vqa")
    assert (captions.task, captions.train.batch_size, captions.generate.beams) == ("captioning", 4, 5)
    assert type(captions.data) is DataConfig and captions.data.test == "val2014" and not captions.datasets
    assert point.config.generates and point.config.architecture == "decoder"
    assert point.config.tasks == ("vqa_generation", "captioning")
    assert "data" not in plain(point.config) and config_from_dict(plain(point.config)) == point.config
    stored = experiments / "run" / "config.yaml"
    stored.parent.mkdir()
    stored.write_text(to_yaml(point.config))
    assert load(str(stored)).points[0].config == point.config
    given = {
        ("vqa", "data.root"): "datasets.vqa.root",
        ("vqa", "train.batch_size"): "train.batch_size",
        ("captions", "train.batch_size"): "datasets.captions.batch_size",
        ("vqa", "task"): "task",
        ("captions", "task"): "datasets.captions.task",
        ("vqa", "generate.beams"): "generate.beams",
        ("captions", "generate.beams"): "datasets.captions.generate.beams",
        ("captions", "train.lr"): "train.lr",
    }
    assert {asked: point.config.key_of(*asked) for asked in given} == given


def test_the_target_of_a_table_is_that_of_its_own_task() -> None:
    tables = {task: NamedDatasetConfig("jsonl", task=task) for task in ("vqa_generation", "captioning")}
    config = ExperimentConfig(datasets=tables, train=TrainConfig(max_steps=1))
    assert [each.target for each in config.datasets.values()] == ["answer", "caption"]
    assert [view.data.target for view in config.per_dataset.values()] == ["answer", "caption"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("  gqa: {name: gqa, batch_size: 9}\ntrain.devices: 2\n", "x.yaml:7: datasets.gqa.batch_size, train.devices: "),
        ("train.accumulate: 8\n", "x.yaml:6: datasets.captions.batch_size, train.accumulate: 4 examples cannot be cut"),
        ("  gqa: {name: gqa, task: captioning}\n", "x.yaml:7: datasets.gqa.task, datasets.gqa.name: captioning is for"),
        (
            "evaluate.checkpoint: best\n",
            "x.yaml:7: evaluate.checkpoint: best needs a validation split; set datasets.captions.validation",
        ),
        (
            "train.early_stopping.patience: 2\n",
            "x.yaml:7: train.early_stopping.patience: early stopping needs a validation split; set datasets.captions.v",
        ),
        (
            "evaluate.split: validation\n",
            "x.yaml:7: evaluate.split: there is no validation split to score on; set datasets.captions.validation",
        ),
        ("  a/b: {}\n", "x.yaml:7: datasets.a/b: 'a/b' names files: use letters"),
        ("  gqa: {name: gqe}\n", "x.yaml:7: datasets.gqa.name: 'gqe' is not one of vqav2, coco, gqa"),
        ("  gqa: {nam: gqa}\n", "x.yaml:7: datasets.gqa.nam: unknown key. Did you mean 'datasets.gqa.name'?"),
        ("  gqa: {generate: {top_p: 0.5}}\n", "x.yaml:7: datasets.gqa.generate.top_p: the last two are for sampling"),
        ("  gqa: {prompt: '{answer}'}\n", "x.yaml:7: datasets.gqa.prompt: '{answer}' is no valid template"),
        (
            "  nlvr: {name: nlvr2, task: vqa_classification}\n",
            "x.yaml:7: datasets.nlvr.task: vqa_classification chooses among answers of its own, and datasets share a",
        ),
        ("data.root: here\n", "x.yaml:5: datasets.vqa.validation, data.root: give one of the two sections"),
        ("bottleneck.routing: self\n", "x.yaml:7: bottleneck.routing: self reads later tokens too"),
        ("  gqa: {name: gqa, answers: a.json}\n", "x.yaml:7: datasets.gqa.answers: has no effect, because the task"),
        ("  gqa: {name: gqa, split_seed: 3}\n", "x.yaml:7: datasets.gqa.split_seed: has no effect, because it is"),
        ("  c: {name: coco, task: captioning, sample_answers: true}\n", "x.yaml:7: datasets.c.sample_answers: has no"),
        ("  gqa: {name: gqa, sample_answers: maybe}\n", "x.yaml:7: datasets.gqa.sample_answers: expected true"),
        ("datasets.vqa.batch_size: 8\n", "x.yaml:3: train.batch_size: has no effect, because every dataset has a"),
        ("datasets.vqa.task: vqa_generation\n", "x.yaml:2: task: has no effect, because every dataset has a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_under_the_name_of_the_dataset(experiments: Path, more: str, expected: str) -> None:
    (line,) = lines(experiments, more)
    assert line.startswith(expected), line


def test_a_default_task_that_cannot_go_with_others_is_told_once_for_each(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\ndatasets: {one: {}, two: {name: gqa}}\n")
    found = error_lines()
    assert [line.partition(": vqa_classification")[0] for line in found] == [
        "x.yaml:2: datasets.one", "x.yaml:2: datasets.two.name",
    ]  # fmt: skip
    write(experiments, "x", "extends: [base/short]\ndatasets: {one: {}}\n")
    assert not load("x").points[0].config.generates  # one alone may have a head


def test_a_nearer_file_may_name_datasets_in_place_of_data_and_take_what_is_moot_along(experiments: Path) -> None:
    write(experiments, "base/one", "data: {root: elsewhere, validation: null}\ntask: captioning\ntrain.batch_size: 3\n")
    write(experiments, "x", SEVERAL.replace("base/short", "base/short, base/one").replace("train.batch_size: 8\n", ""))
    (point,) = load("x", ["datasets.vqa.batch_size=5", "datasets.vqa.task=vqa_generation"]).points
    assert list(point.config.datasets) == ["vqa", "captions"] and "data" not in plain(point.config)
    write(experiments, "y", "extends: [x]\ndata.root: mine\n")
    write(experiments, "base/several", SEVERAL)
    write(experiments, "y", "extends: [base/several]\ndata.root: mine\n")
    assert "give one of the two sections" in error_lines("y")[0]
    write(experiments, "y", "extends: [base/several]\ndatasets: {}\ndata: {name: gqa}\n")
    assert load("y").points[0].config.data.name == "gqa"


def test_missing_files_are_told_under_the_name_of_the_dataset(experiments: Path) -> None:
    write(experiments, "x", SEVERAL.replace("{validation", "{root: nowhere, validation"))
    found = error_lines(missing=lambda config: [p for p in missing_files_of(config) if "data" in str(p)])
    assert any("datasets.vqa.root" in line and "nowhere" in line for line in found), found
    assert not any(" data.root" in line for line in found)


def test_the_splits_that_trials_are_compared_on_are_not_tuned(experiments: Path) -> None:
    tune = "sweep: {tune: {grid: {datasets.vqa.validation: [held, train2014]}}}\n"
    assert any("decides what the trials are compared on" in line for line in lines(experiments, tune))
