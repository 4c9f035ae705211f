"""`select: {method: spt}` in whole runs: both towers, reuse of the sensitivities, resume, processes, precision."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_experiment import write_caption_experiment
from tests.training.event_curves import curve
from tests.training.test_resume import assert_same, stop_at
from vlrouting.bottleneck import attach
from vlrouting.experiment import Experiment, RunDirectory, UserError, load
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.prediction.predictor import Predictor
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled
from vlrouting.training.selected import SelectionFile

Make = Callable[..., Experiment]
Run = Callable[..., RunDirectory]
TEXT = {
    "text": {"kind": "lora", "rank": 2, "routing": "mul", "targets": ["query", "key", "value", "output", "up"]},
    "text_entries": {"kind": "sparse"},
}
IMAGE = {
    "image": {"kind": "lora", "rank": 2, "tower": "vision"},
    "image_entries": {"kind": "sparse", "tower": "vision"},
}
MINI = {"name": "package:vlrouting/backbones/mini/vit_shapes", "weights": "hub", "image_size": None}
SPT = {"method": "spt", "budget": 4000, "vision_budget": 2500, "batches": 2}


def sections(bottlenecks: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Of an experiment with SPT; in both towers, unless other bottlenecks are given."""
    bottlenecks = bottlenecks or {**TEXT, **IMAGE}
    select = {**SPT, **({} if "image" in bottlenecks else {"vision_budget": None}), **more.pop("select", {})}
    model = {"unfreeze": []}
    vision = {} if "image" not in bottlenecks else {"vision": MINI}
    return {"bottleneck": None, "bottlenecks": bottlenecks, "select": select, "model": model, **vision, **more}


def built(experiment: Experiment, folder: Path | None = None) -> Built:
    """The experiment's only point, with what its selector chose and measured in the folder."""
    file = None if folder is None else SelectionFile(folder / "selection.json", is_first=True)
    if folder is not None:
        folder.mkdir()
    return build_point(experiment.points[0].config, SharedInputs(torch.device("cpu")), selection_file=file)


def test_both_towers_train_what_the_budget_allows_and_start_as_they_were(
    experiment: Make, run: Run, tmp_path: Path
) -> None:
    chosen = experiment(**sections(train={"max_steps": 4}))
    done = run(chosen)
    summary = json.loads((done.path / "selection" / "spt.json").read_text())
    assert abs(summary["trainable"] - 4000) < 200
    point = built(chosen)
    model = point.task.task_model.model
    others = [p for name, p in model.named_parameters() if name.split(".")[0] not in ("language", "vision")]
    assert model.trainable_parameters == summary["trainable"] + sum(parameter.numel() for parameter in others)
    towers = {"language": model.routed, "vision": model.vision.routed}
    assert all(routed.bottlenecks for routed in towers.values())
    assert {"text", "text_entries"} == {b.name for b in towers["language"].bottlenecks.values()}
    assert "image_entries" in {b.name for b in towers["vision"].bottlenecks.values()}
    assert "cls_token" in towers["vision"].unfrozen
    batch = next(iter(point.data.first_batches(1)))
    point.task.eval()
    before = point.task.task_model.loss(batch)
    for routed in towers.values():
        routed.detach()
    model.routed, model.vision.routed = attach(model.language, {}, unfreeze=()), None
    assert torch.equal(point.task.task_model.loss(batch), before)
    record = json.loads(done.predictions.read_text().splitlines()[0])
    answer = Predictor(done.artifact).answer([Path(record["image"])], record["question"])
    assert answer.text == record["prediction"]


def test_sensitivities_are_used_again_for_the_same_weights_alone(experiment: Make, tmp_path: Path) -> None:
    one, same, fewer = (tmp_path / name for name in ("one", "same", "fewer"))
    built(experiment(**sections()), one)
    file = one / "selection" / "sensitivities.safetensors"
    assert file.stat().st_mode & 0o777 == (one / "selection.json").stat().st_mode & 0o777
    given = {"sensitivities": str(file)}
    built(experiment(**sections(select={**given, "batches": 1})), same)
    assert (same / "selection.json").read_text() == (one / "selection.json").read_text()
    assert not (same / "selection" / file.name).exists()
    built(experiment(**sections(select={**given, "budget": 3500})), fewer)
    assert json.loads((fewer / "selection" / "spt.json").read_text())["trainable"] < 3700

    def refused(text: str, path: Path = file) -> None:
        with pytest.raises(UserError, match=text):
            built(experiment(**sections(select={"sensitivities": str(path)})))

    refused("no such file; leave it out", tmp_path / "none")
    (tmp_path / "bad").write_bytes(file.read_bytes()[:1000])
    refused("cannot be read", tmp_path / "bad")
    save_file(load_file(file), tmp_path / "unknown")
    refused("measured on other weights of the language tower", tmp_path / "unknown")
    changed = experiment(**sections(select=given))
    weights = tmp_path / "roberta" / "model.safetensors"
    tensors = load_file(weights)
    tensors["encoder.layer.1.output.dense.bias"] += 0.1
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(UserError, match="measured on other weights of the language tower"):
        built(changed)


def test_a_resumed_run_equals_one_that_was_not_cut_off(
    experiment: Make, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = experiment(**sections(train={"max_steps": 5}))
    whole = run(point, "whole")
    stop_at(monkeypatch, 3, signal.SIGTERM)
    with pytest.raises(Cancelled):
        train(point, point.points, tmp_path / "cut")
    cut = RunDirectory(tmp_path / "cut" / point.name / "default")
    chosen = cut.selection.stat().st_mtime_ns
    assert train(point, point.points, tmp_path / "cut") == {}
    assert_same(whole, cut)
    assert cut.selection.stat().st_mtime_ns == chosen


@pytest.mark.slow
def test_two_processes_equal_one(experiment: Make, tmp_path: Path) -> None:
    """The first process chooses for both, from its micro-batches."""
    points = {"one": {"train.accumulate": 2}, "two": {"train.devices": 2}}
    quick = {"max_steps": 4, "validate_every_steps": 4}
    made = experiment(**sections(TEXT, train=quick, sweep={"points": points}))
    assert run_locally(made, made.points, tmp_path / "runs") == {}
    one, two = (RunDirectory(tmp_path / "runs" / made.name / name) for name in points)
    assert one.selection.read_text() == two.selection.read_text()
    losses = [[value for _, value in curve(each, "train/loss")] for each in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and len(losses[0]) == 4
    assert one.predictions.read_text() == two.predictions.read_text()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_generating_model_with_a_fused_projection(precision: str, tmp_path: Path) -> None:
    """GPT-2 with beams, activation checkpointing, and a frozen model in bfloat16."""
    dtype = "float32" if precision == "32-true" else "bfloat16"
    steps = {"precision": precision, "gradient_checkpointing": True, "max_steps": 4}
    text = {**TEXT, "text": {**TEXT["text"], "targets": ["query", "value"]}}
    several = sections(text, train=steps, language={"dtype": dtype}, select={"budget": 1500, "alpha": 50})
    made = load(str(write_caption_experiment(tmp_path, **several)))
    assert train(made, made.points, tmp_path / "runs") == {}
    done = RunDirectory(tmp_path / "runs" / made.name / "default")
    stored = json.loads((done.artifact / "adapter_config.json").read_text())
    fused = [target["columns"] for target in stored["places"]["text"] if target["name"].endswith("c_attn")]
    assert fused and all(columns in ([[0, 32]], [[64, 96]], [[0, 32], [64, 96]]) for columns in fused)
    summary = json.loads((done.path / "selection" / "spt.json").read_text())
    assert abs(summary["trainable"] - 1500) < 150 and summary["single_weights"] > 0
    records = [json.loads(line) for line in done.predictions.read_text().splitlines()]
    caption = Predictor(done.artifact).caption([Path(records[0]["image"])])
    assert caption == [records[0]["prediction"]]


def test_what_does_not_go_together_is_said_before_anything_is_loaded(experiment: Make) -> None:
    def refused(text: str, **more: Any) -> None:
        with pytest.raises(UserError, match=text):
            experiment(**{**sections(), **more})

    refused("model.unfreeze.*set \\[\\]", model={"unfreeze": ["layer_norms"]})
    refused("model.visual_prefix.*set true", model={"unfreeze": [], "visual_prefix": False})
    refused("bottlenecks.more.kind.*one bottleneck of kind sparse", bottlenecks={**TEXT, "more": {"kind": "sparse"}})
    refused("bottlenecks.more.kind.*for whole matrices", bottlenecks={**TEXT, "more": {"kind": "adapter"}})
    refused("bottlenecks.text.per_task", bottlenecks={"text": {"kind": "lora", "per_task": True}})
    refused("select.vision_budget.*leave it out", bottlenecks=TEXT)
    refused("select.vision_budget.*set a larger budget", select={**SPT, "budget": 2500})
    refused("select.method.*has no bottleneck to place", bottlenecks={"none": {"kind": "none"}})
    refused("attaches what a selector chooses", select=None)
