"""What is chosen from the run directories of trials: `tuned` in a point's configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vlrouting.config import (
    AdapterConfig,
    DataConfig,
    EvaluateConfig,
    ExperimentConfig,
    LoraConfig,
    TrainConfig,
    TunedConfig,
)
from vlrouting.experiment import Experiment, Point, RunDirectory, to_yaml
from vlrouting.experiment.choice import NotChosen, chosen, with_choices

METRIC = "validation/vqa_accuracy"
DATA = DataConfig(validation="minival")
POINT = ExperimentConfig(seed=7, data=DATA, train=TrainConfig(max_steps=90, workers=3))


def write_trial(folder: Path, name: str, config: ExperimentConfig, score: float | None, **fields: object) -> None:
    """A trial's run directory; without a score, as `fields` say."""
    run = RunDirectory(folder / name)
    run.prepare(to_yaml(config))
    run.artifact.mkdir(exist_ok=True)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (run.artifact / file).touch()
    run.update_run(**{"status": "complete", "main_metric": METRIC, **fields})
    if score is not None:
        run.metrics.write_text(json.dumps({METRIC: score, "validation/examples": 3}))


def trial(lr: float) -> ExperimentConfig:
    train = TrainConfig(max_steps=20, lr=lr)
    return ExperimentConfig(seed=100, data=DATA, train=train, evaluate=EvaluateConfig(split="validation"))


def rates(folder: Path, scores: dict[float, float | None], diverged: tuple[float, ...] = ()) -> ExperimentConfig:
    """A point whose learning rate is to be chosen, after its trials."""
    for lr, score in scores.items():
        fields = {"status": "failed", "diverged": True, "error": f"the loss of {lr:g} is nan"} if lr in diverged else {}
        write_trial(folder, f"lr={lr:g}", trial(lr), score, **fields)
    return replace(POINT, tuned=TunedConfig(["train.lr"], [f"lr={lr:g}" for lr in scores]))


@pytest.mark.parametrize(
    ("scores", "diverged", "best", "edge"),
    [
        ({3e-4: 60.0, 1e-3: 70.0, 3e-3: 65.0}, (), 1e-3, False),
        ({3e-4: 60.0, 1e-3: 70.0, 3e-3: 75.0}, (), 3e-3, True),
        ({3e-4: 80.0, 1e-3: 70.0, 3e-3: 75.0}, (), 3e-4, True),
        ({1e-3: 70.0, 3e-3: 65.0, 3e-4: 60.0}, (), 1e-3, False),  # first in the file, not at an edge
        ({1e-3: 70.0, 3e-3: 70.0, 3e-4: 70.0}, (), 1e-3, False),  # of equal ones the first of the grid
        ({3e-3: 70.0, 1e-3: 70.0, 3e-4: 60.0}, (), 3e-3, True),
        ({3e-4: 0.0, 1e-3: None, 3e-3: None}, (1e-3, 3e-3), 3e-4, True),
        ({3e-4: -1.0, 1e-3: 99.0}, (1e-3,), 3e-4, True),  # what an earlier attempt left does not count
    ],
)
def test_the_highest_score_is_chosen(
    tmp_path: Path, scores: dict[float, float | None], diverged: tuple[float, ...], best: float, edge: bool
) -> None:
    point = rates(tmp_path, scores, diverged)
    config = chosen(point, tmp_path)
    names = [f"lr={lr:g}" for lr in scores]
    edges = ["train.lr"] if edge else []
    tuned = TunedConfig(["train.lr"], names, f"lr={best:g}", METRIC, scores[best], edges)
    assert config == replace(POINT, train=replace(POINT.train, lr=best), tuned=tuned)
    assert chosen(config, tmp_path / "nowhere") == config and chosen(POINT, tmp_path) is POINT


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"status": "failed", "error": "out of luck"}, r"lr=0.001 is failed \(out of luck\)\. Type the same"),
        ({"status": "cancelled"}, "lr=0.001 is cancelled"),
        ({"status": "running"}, "lr=0.001 is running"),
        ({"status": None}, "lr=0.001 is not started"),
        ({"status": "complete"}, "lr=0.001 is incomplete"),
    ],
)
def test_a_trial_that_has_not_ended_is_named(tmp_path: Path, fields: dict[str, str], told: str) -> None:
    point = rates(tmp_path, {3e-4: 60.0})
    write_trial(tmp_path, "lr=0.001", trial(1e-3), None, **fields)
    assert point.tuned is not None
    point.tuned.trials.append("lr=0.001")
    with pytest.raises(NotChosen, match=told):
        chosen(point, tmp_path)


def test_without_a_score_nothing_is_chosen(tmp_path: Path) -> None:
    point = rates(tmp_path, {3e-4: None, 1e-3: None}, (3e-4, 1e-3))
    with pytest.raises(NotChosen, match=r"every trial diverged; tune other values .*the loss of 0.0003 is nan"):
        chosen(point, tmp_path)
    point = rates(tmp_path / "other", {3e-4: 60.0})
    missing = {"main_metric": "validation/cider", "not_computed": {"CIDEr": "needs Java"}}
    write_trial(tmp_path / "other", "lr=0.0003", trial(3e-4), 60.0, **missing)
    with pytest.raises(NotChosen, match="has no validation/cider: needs Java"):
        chosen(point, tmp_path / "other")


def test_several_keys_and_another_kind(tmp_path: Path) -> None:
    kinds = [LoraConfig(rank=4, alpha=8.0), AdapterConfig(rank=4)]
    for number, kind in enumerate(kinds):
        write_trial(tmp_path, str(number), replace(trial(1e-3), bottleneck=kind), 50.0 + number)
    keys = ["bottleneck.kind", "train.lr", "bottleneck.rank"]
    config = chosen(replace(POINT, bottleneck=kinds[0], tuned=TunedConfig(keys, ["0", "1"])), tmp_path)
    assert config.bottleneck == kinds[1] and config.train == replace(POINT.train, lr=1e-3)
    assert config.tuned is not None and config.tuned.edges == []  # no key has two numbers


def test_every_variant_is_decided_for_itself(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "tuning"
    one = rates(folder / "one", {3e-4: 60.0, 1e-3: 70.0})
    assert one.tuned is not None
    names = [f"one/{name}" for name in one.tuned.trials]
    one = replace(one, tuned=TunedConfig(["train.lr"], names))
    two = replace(one, tuned=TunedConfig(["train.lr"], ["two/lr=1"]))
    points = [Point(f"{name},seed={s}", c, {}, variant=name) for name, c in (("a", one), ("b", two)) for s in (0, 1)]
    experiment, reasons = with_choices(Experiment("x", tuple(points), tmp_path), tmp_path)
    assert list(reasons) == ["b"] and "two/lr=1 is not started" in reasons["b"]
    assert [point.config.train.lr for point in experiment.points] == [1e-3, 1e-3, TrainConfig().lr, TrainConfig().lr]
    assert experiment.points[2:] == tuple(points[2:])
