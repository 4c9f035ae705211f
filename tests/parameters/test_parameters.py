"""vlrouting params: what training counts, what was published, and how it is shown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.command_line import REPOSITORY
from tests.tiny_experiment import write_experiment
from vlrouting.config import KINDS
from vlrouting.data.datasets.presence import USUAL_ANSWERS
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.parameters import ParameterCounts, experiment_parameters, show
from vlrouting.training.assembly import build_point
from vlrouting.training.inputs import SharedInputs

BART = REPOSITORY / "tests" / "fixtures" / "bart_base"
PUBLISHED: dict[str, tuple[float, dict[str, Any]]] = {
    "adapter": (4.18, {"bottleneck": {"kind": "adapter", "rank": 96}, "model.unfreeze": ["layer_norms"]}),
    "lora": (5.93, {"bottleneck": {"kind": "lora", "rank": 128, "alpha": 32}, "model.unfreeze": ["biases"]}),
    "compacter": (
        2.70,
        {
            "bottleneck": {"kind": "compacter", "rank": 96, "divisions": 2, "factor_rank": None},
            "model.unfreeze": ["layer_norms"],
        },
    ),
    "prompt": (2.00, {"bottleneck": {"kind": "prompt", "tokens": 40, "hidden": 800}}),
    "bitfit": (1.21, {"model.unfreeze": ["biases"]}),
    "full": (100, {"model.unfreeze": ["all"]}),
}
"""VL-PET's table 2: share of CLIP(RN101)-BART-base that trains, in percent; the vision tower is not counted."""


def counts(file: Path, *overrides: str) -> dict[str, ParameterCounts]:
    return {each.name: each.counts for each in experiment_parameters(load(str(file), overrides).points)}


def test_the_published_percentages_of_clip_bart(tmp_path: Path) -> None:
    file = tmp_path / "clip_bart.yaml"
    experiment = {
        "task": "vqa_generation",
        "data": {"name": "vqav2", "root": str(tmp_path / "none")},
        "language": {"name": str(BART)},
        "vision": {"name": "resnet101_clip", "features": "tokens"},
        "model": {"projector": "linear_norm", "unfreeze": []},
        "bottleneck": {"kind": "none"},
        "train": {"max_steps": 1},
        "sweep": {"cases": {name: case for name, (_, case) in PUBLISHED.items()}},
    }
    file.write_text(yaml.safe_dump(experiment))
    found = counts(file)
    bart, visual = 139_420_416, 2048 * 768 + 768 + 2 * 768
    assert found["full"].total == bart + visual
    for name, (percent, _) in PUBLISHED.items():
        assert found[name].percent == pytest.approx(percent, abs=0.02), name
        assert found[name].others == {"projector": visual}
    assert found["bitfit"].unfrozen == {"biases": 125_952}
    assert found["adapter"].unfrozen == {"norms": 49_152 - 3_072}, "without the norms of the embeddings"
    places = found["adapter"].bottlenecks
    one = 768 * 96 + 96 + 96 * 768 + 768
    assert len(places) == 5 and set(places.values()) == {6 * one}
    assert sum(found["lora"].bottlenecks.values()) == 36 * 2 * 768 * 128


def test_the_experiment_has_the_published_percentages() -> None:
    experiment = load("clip_bart_multitask", [f"language.name={BART}"], REPOSITORY / "experiments")
    found = {each.name: round(each.counts.percent, 2) for each in experiment_parameters(experiment.points)}
    published = {name: percent for name, (percent, _) in PUBLISHED.items()} | {"vl_pet": 4.16, "prompt": 1.99}
    assert published.items() <= found.items()
    assert found["lora_mul"] == found["lora"] and found["adapter_mul"] == found["adapter"]  # routing has no parameters


OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "vl_pet": {"granularity": "large"},
    "prompt": {"hidden": 5},
    "prefix": {"hidden": 5},
    "vfpt": {"tower": "vision"},
    "sparse": {"targets": ["query"]},
}


def test_every_kind_counts_as_in_a_run(tmp_path: Path) -> None:
    """A point is built as for training; one of them also trains, and its run.json has the number."""
    cases: dict[str, Any] = {
        kind: {"bottleneck": {"kind": kind, **OPTIONS.get(kind, {})}} for kind in KINDS if ":" not in kind
    }
    cases["two_towers"] = {
        "bottlenecks": {
            "text": {"kind": "lora", "rank": 3, "routing": "mul"},
            "eyes": {"kind": "adapter", "rank": 2, "tower": "vision"},
        },
        "model.unfreeze": ["layer_norms", "biases"],
    }
    cases["uncached"] = {"bottleneck": {"kind": "ia3"}, "vision.cache": False, "model.projector": "mlp"}
    vision = {"features": "tokens"}
    file = write_experiment(tmp_path, bottleneck=None, vision=vision, sweep={"cases": cases}, train={"max_steps": 1})
    experiment = load(str(file))
    found = counts(file)
    inputs = SharedInputs(torch.device("cpu"))
    assert set(found) == set(cases) == {point.name for point in experiment.points}
    for point in experiment.points:
        model = build_point(point.config, inputs).task.model
        own = found[point.name]
        assert (own.trainable, own.total) == (model.trainable_parameters, model.total_parameters), point.name
    assert "vision:adapter blocks.*.attn.proj" in found["two_towers"].bottlenecks
    (point,) = [point for point in experiment.points if point.name == "prompt"]
    assert train(experiment, [point], tmp_path / "runs") == {}
    run = RunDirectory(tmp_path / "runs" / experiment.name / "prompt").read_run()
    assert run["trained_parameters"] == found["prompt"].trainable
    assert run["total_parameters"] == found["prompt"].total


def test_variants_and_what_is_said_about_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = {"bottleneck.rank": [2, 4], "seed": [0, 1]}
    file = write_experiment(tmp_path, data={"root": str(tmp_path / "none")}, sweep={"grid": grid})
    variants = experiment_parameters(load(str(file)).points)
    assert [variant.name for variant in variants] == ["rank=2", "rank=4"]
    small, large = (variant.counts for variant in variants)
    assert sum(large.bottlenecks.values()) == 2 * sum(small.bottlenecks.values())
    assert small.others["head"] > 64 * USUAL_ANSWERS and "the data are not here" in variants[0].notes[0]
    selected = load(str(file), ["select.method=spt", "select.budget=5000", "model.unfreeze=[]"]).points
    assert "trains about 5,000 in their place" in experiment_parameters(selected)[0].notes[-1]
    show.print_table(variants)
    printed = capsys.readouterr().out
    assert f"{small.trainable:,}" in printed and "3,129 answers" in printed
    first, _ = json.loads(show.as_json(variants))
    assert first["variant"] == "rank=2" and first["bottlenecks"] == small.bottlenecks
    assert first["trainable"] == small.trainable and first["percent"] == small.percent
    line = next(csv.DictReader(io.StringIO(show.as_csv(variants))))
    parts = [int(number) for key, number in line.items() if key not in ("variant", "trainable", "all", "percent")]
    assert sum(parts) == int(line["trainable"]) == small.trainable
