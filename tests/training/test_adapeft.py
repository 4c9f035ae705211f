"""Runs whose targets AdaPEFT has chosen: resumed, by two processes, in both towers, and from another run's choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_backbones import save_tiny_roberta
from tests.tiny_experiment import write_experiment
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.selection.adapeft import selector
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.assembly import build_point
from vlrouting.training.inputs import SharedInputs

Make = Callable[..., Experiment]
Run = Callable[..., RunDirectory]
SELECT = {"method": "adapeft", "budget": 600, "groups": ["layer_norms", "biases"], "batches": 2, "probes": 2}


def sections(**more: Any) -> dict[str, Any]:
    bottlenecks = {"text": {"kind": "adapter", "rank": 2, "routing": "mul"}}
    return {"bottleneck": None, "bottlenecks": bottlenecks, "model": {"unfreeze": []}, "select": SELECT, **more}


def trained(run: RunDirectory) -> dict[str, torch.Tensor]:
    return load_file(run.artifact / "adapter_model.safetensors")


def curve(run: RunDirectory) -> dict[str, dict[str, Any]]:
    return {row["group"]: row for row in json.loads((run.path / "selection" / "adapeft.json").read_text())}


def same(one: RunDirectory, other: RunDirectory) -> None:
    first, second = trained(one), trained(other)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert one.read_metrics() == other.read_metrics()
    assert (one.path / "selection.json").read_bytes() == (other.path / "selection.json").read_bytes()


def test_a_run_trains_what_was_chosen_and_a_resumed_one_ends_alike(
    experiment: Make, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = experiment(**sections())
    whole = run(chosen, "whole")
    rows = curve(whole)
    taken = {name for name, row in rows.items() if row["chosen"]}
    assert taken and taken != rows.keys() and sum(rows[name]["parameters"] for name in taken) <= 600
    language = {name: tensor for name, tensor in trained(whole).items() if name.startswith("language.")}
    assert sum(tensor.numel() for tensor in language.values()) == sum(rows[name]["parameters"] for name in taken)
    step, measure, measured = TaskModule.training_step, selector.measure, []

    def failing(self: TaskModule, batch: object, index: int) -> torch.Tensor:
        if index == 5:
            raise RuntimeError("the machine broke")
        return step(self, batch, index)  # type: ignore[arg-type]

    monkeypatch.setattr(selector, "measure", lambda *given: measured.append(1) or measure(*given))
    with monkeypatch.context() as patch:
        patch.setattr(TaskModule, "training_step", failing)
        assert "the machine broke" in train(chosen, chosen.points, tmp_path / "cut")["default"]
    cut = run(chosen, "cut")
    assert len(measured) == 1
    same(whole, cut)


def test_groups_of_both_towers(experiment: Make, run: Run) -> None:
    towers = {
        "text": {"kind": "adapter", "rank": 2, "routing": "mul"},
        "image": {"kind": "adapter", "rank": 2, "tower": "vision", "layers": [0, 5]},
    }
    select = {**SELECT, "groups": ["biases", "*.word_embeddings.*"], "budget": 10**6, "probes": 1, "step_size": 1e-3}
    done = run(experiment(**sections(bottlenecks=towers, select=select, train={"max_steps": 2})))
    rows = curve(done)
    assert {"image@blocks.0", "image@blocks.5", "text@encoder.layer.0", "vision:biases", "biases"} <= rows.keys()
    stored = json.loads((done.artifact / "adapter_config.json").read_text())
    assert bool(stored["vision_unfreeze"]) == rows["vision:biases"]["chosen"]
    assert rows["vision:biases"]["chosen"] and all(name.endswith("bias") for name in stored["vision_unfreeze"])
    adapted = {target["name"].rsplit(".", 2)[0] for target in stored["places"]["image"]}
    assert adapted == {name.partition("@")[2] for name, row in rows.items() if name[:5] == "image" and row["chosen"]}


def test_the_choice_of_a_small_model_for_a_deeper_one(experiment: Make, run: Run, tmp_path: Path) -> None:
    small = experiment(**sections(train={"max_steps": 1}))
    done = run(small)
    deep = save_tiny_roberta(tmp_path / "deep", layers=4)
    file = done.path / "selection" / "adapeft.json"
    overrides = ("select.budget=null", f"select.choice={file}", f"language.name={deep}")
    built = build_point(experiment(*overrides, **sections()).points[0].config, SharedInputs(torch.device("cpu")))
    routed = built.task.model.routed
    rows = curve(done)
    expected = [2 * n + m for n in (0, 1) if rows[f"text@encoder.layer.{n}"]["chosen"] for m in (0, 1)]
    assert sorted({int(target.name.split(".")[2]) for target in routed.places["text"]}) == expected
    unfrozen = sum(rows[name]["parameters"] for name in ("layer_norms", "biases") if rows[name]["chosen"])
    assert routed.unfrozen_parameters == 2 * unfrozen


@pytest.mark.slow
def test_two_processes_choose_and_train_like_one(tmp_path: Path) -> None:
    two = {"train.devices": 2, "train.gradient_checkpointing": True}
    sweep = {"points": {"one": {"train.accumulate": 2}, "two": two}}  # a selector sees batches of the same size
    training = {"max_steps": 6, "validate_every_steps": 6}
    experiment = load(str(write_experiment(tmp_path, images=16, **sections(sweep=sweep, train=training))))
    assert run_locally(experiment, experiment.points, tmp_path / "runs") == {}
    one, other = (RunDirectory(tmp_path / "runs" / experiment.name / name) for name in sweep["points"])
    assert (one.path / "selection.json").read_bytes() == (other.path / "selection.json").read_bytes()
    for name, tensor in trained(one).items():
        torch.testing.assert_close(trained(other)[name], tensor, rtol=1e-3, atol=1e-5)
