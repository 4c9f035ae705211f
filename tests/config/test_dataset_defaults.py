"""What a dataset decides where an experiment says nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vlrouting.config import DATASETS, DataConfig, ExperimentConfig, SplitConfig, SplitShares, check
from vlrouting.experiment import ExperimentErrors, config_from_dict, load
from vlrouting.experiment.resolve import plain

DEFAULTS = {
    "vqav2": ("train2014", None, "val2014", 9),
    "coco": ("train2014", None, "val2014", 9),
    "gqa": ("train_balanced", None, "testdev_balanced", 9),
    "nlvr2": ("train", None, "test1", 9),
    "jsonl": ("train", "val", "test", 1),
}


def effective(data: DataConfig) -> tuple[object, ...]:
    return data.train, data.validation, data.test, data.min_answer_count


def test_splits_and_rare_answers_are_the_datasets_own() -> None:
    assert {name: effective(DataConfig(name)) for name in DATASETS} == DEFAULTS
    assert all(name in DATASETS.load("gqa").splits for name in ("train_balanced", "testdev_balanced"))


def test_what_is_given_stays() -> None:
    given = DataConfig("jsonl", train="a", validation=None, test="b", min_answer_count=4)
    assert effective(given) == ("a", None, "b", 4)
    assert effective(replace(given, root="elsewhere")) == effective(given)
    assert effective(DataConfig("nowhere"))[0] == ""  # the name is an error by itself
    assert [problem.keys for problem in check(DataConfig("nowhere"))] == [("name",)]


@pytest.mark.parametrize(
    ("task", "metric", "target"),
    [
        ("vqa_classification", "answers", "answer"),
        ("vqa_generation", "answers", "answer"),
        ("captioning", "captions", "caption"),
    ],
)
def test_the_task_decides_on_the_metric_of_a_table(task: str, metric: str, target: str) -> None:
    data = DataConfig("jsonl")
    config = ExperimentConfig(task=task, data=data)
    assert (config.metric, config.data.target, data.target) == (metric, target, None)
    assert ExperimentConfig(task=task, data=DataConfig("coco")).data.target is None


def test_a_task_that_the_dataset_does_not_know_is_scored_by_its_first_metric() -> None:
    assert DATASETS.facts("gqa").metric("planned") == "gqa" and DATASETS.facts("jsonl").metric("planned") == "answers"


def test_the_resolved_configuration_is_the_same_again() -> None:
    config = ExperimentConfig(task="captioning", data=DataConfig("jsonl", splits={"train": SplitConfig("a.csv")}))
    assert config_from_dict(plain(config)) == config
    assert effective(config_from_dict({"data": {"name": "jsonl"}}).data) == DEFAULTS["jsonl"]


def test_shares_out_of_range_are_named() -> None:
    data = DataConfig("jsonl", split_shares=SplitShares(0.0, 0.5, 0.5))
    assert [problem.keys for problem in check(data)] == [("split_shares.train",)]
    assert [p.keys for p in check(DataConfig("jsonl", split_shares=SplitShares(0.5, 0.1, 0.1)))] == [
        ("split_shares.train", "split_shares.val", "split_shares.test")
    ]


def test_what_is_for_tables_has_no_effect_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("train: {max_steps: 2}\n")
    for key in ("data.target=answer", "data.split_seed=1", "data.split_shares.val=0.0"):
        more = ["data.split_shares.test=0.2"] if "shares" in key else []
        with pytest.raises(ExperimentErrors, match="for a table of your own"):
            load(str(file), ["data.name=vqav2", key, *more])
        load(str(file), ["data.name=jsonl", key, *more])
