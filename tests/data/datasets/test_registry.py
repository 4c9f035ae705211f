"""A dataset that a plugin registers; what one looks like is in docs/adding-a-dataset.md, which a test follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlrouting.config import DATASETS, METRICS, DataConfig, ExperimentConfig, TrainConfig, check
from vlrouting.data.datasets.registry import known_splits, register_dataset
from vlrouting.metrics.gqa_score import GQAScore
from vlrouting.metrics.nlvr2_score import NLVR2Score


class MineScore(NLVR2Score):
    """A score of its own."""


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restored after every test."""
    for registry in (DATASETS, METRICS):
        monkeypatch.setattr(registry, "_facts", dict(registry._facts))
        monkeypatch.setattr(registry, "_implementations", dict(registry._implementations))


def problems(task: str) -> list[str]:
    config = ExperimentConfig(task=task, data=DataConfig(name="mine"), train=TrainConfig(max_steps=1))
    return list(map(str, check(config)))


def test_a_registered_dataset_is_known_everywhere() -> None:
    (unknown,) = problems("vqa_classification")
    assert unknown.startswith("data.name: 'mine' is not one of vqav2, coco, gqa, nlvr2")
    dataset = replace(DATASETS.load("nlvr2"), normalize_answer=str.upper)
    register_dataset("mine", dataset, MineScore, ["vqa_classification", "vqa_generation"])
    assert problems("vqa_classification") == problems("vqa_generation") == []
    assert problems("captioning") == ["task, data.name: captioning is for coco, jsonl, not for mine"]
    assert known_splits(DataConfig(name="mine")) == DATASETS.load("nlvr2").splits
    assert METRICS.load("mine") is MineScore and DATASETS.load("mine").normalize_answer("a") == "A"
    register_dataset("mine", dataset, MineScore, ["captioning"])  # a notebook cell that is run again
    assert DATASETS.facts("mine").tasks == {"captioning": "mine"}


def test_a_name_is_not_taken_twice() -> None:
    with pytest.raises(ValueError, match=r"'gqa' is already registered by vlrouting\.metrics\.gqa_score\.GQAScore"):
        register_dataset("gqa", DATASETS.load("gqa"), MineScore, ["vqa_classification"])
    assert METRICS.load("gqa") is GQAScore


def test_an_unknown_task() -> None:
    with pytest.raises(ValueError, match="'mine': 'vqa' is no task; known: vqa_classification, vqa_generation, capt"):
        register_dataset("mine", DATASETS.load("nlvr2"), MineScore, ["vqa_classification", "vqa"])
    assert "mine" not in {*DATASETS, *METRICS}
