"""Prompts in the vision tower beside routed bottlenecks in the language model: from an experiment to its artifact."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_experiment import write_experiment
from tests.training.test_resume import assert_same, stop_at
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.config import VisionConfig
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.prediction.predictor import Predictor
from vlrouting.training.assembly import build_point
from vlrouting.training.evaluation import evaluate
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled

Make = Callable[..., Experiment]
Run = Callable[..., RunDirectory]
PROMPTS = {"kind": "vfpt", "tower": "vision", "tokens": 4, "dropout": 0.3}
BOTH = {"text": {"kind": "lora", "rank": 4, "routing": "mul"}, "image": PROMPTS}


def both(make: Make, *overrides: str, **sections: Any) -> Experiment:
    return make(*overrides, **{"bottleneck": None, "bottlenecks": BOTH, "model": {"unfreeze": []}, **sections})


@pytest.mark.parametrize(
    ("vision", "shape"),
    [
        ({"features": "pooled"}, (1, 192)),
        ({"features": "tokens"}, (4, 192)),
        ({"features": "tokens", "pool": [1, 2]}, (2, 192)),
    ],
)
def test_features_have_the_shape_that_they_have_without_prompts(
    experiment: Make, vision: dict[str, Any], shape: tuple[int, int]
) -> None:
    model = build_point(both(experiment, vision=vision).points[0].config, SharedInputs(torch.device("cpu"))).task.model
    assert model.visual_shape == shape and model.vision is not None
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    frozen = load_vision_encoder(VisionConfig("vit_tiny_patch16_224", "random", image_size=32, **vision))
    found, before = model.vision(pixels), frozen(pixels)
    assert found.shape == before.shape == (2, *shape)
    assert not torch.allclose(found, before, atol=1e-3)
    model.train()
    assert not torch.equal(model.vision(pixels), model.vision(pixels))  # dropout
    assert not model.vision.model.training


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_prompts_and_routed_bottlenecks_train_together_without_the_feature_cache(
    experiment: Make, run: Run, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    made = both(experiment, vision={"features": "tokens"}, train={"precision": precision, "max_steps": 4})
    done = run(made)
    assert "feature cache off: image trains in the vision tower" in capsys.readouterr().err
    assert not (Path(made.points[0].config.data.root) / "features").exists()
    before = build_point(made.points[0].config, SharedInputs(torch.device("cpu"))).task.model.state_dict()
    tensors = load_file(done.artifact / "adapter_model.safetensors")
    prompts = [name for name in tensors if name.endswith(".prompts")]
    routed = [name for name in tensors if name.endswith((".down.weight", ".up.weight"))]
    assert len(prompts) == 12 and len(routed) == 8
    assert all(tensors[name].dtype == torch.float32 for name in tensors)
    assert all(not torch.equal(tensors[name], before[name]) for name in prompts + routed)
    predictions = done.predictions.read_text()
    evaluate(made, made.points, done.path.parents[1])
    assert done.predictions.read_text() == predictions
    record = json.loads(predictions.splitlines()[0])
    assert Predictor(done.artifact).answer([Path(record["image"])], record["question"]).text == record["prediction"]


def test_a_run_that_is_cut_off_draws_the_same_dropout(
    experiment: Make, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = both(experiment, data={"validation": None}, train={"max_steps": 6, "checkpoint_every_steps": 6})
    whole = run(made, "whole")
    stop_at(monkeypatch, 3, signal.SIGTERM)
    with pytest.raises(Cancelled):
        train(made, made.points, tmp_path / "cut")
    assert_same(whole, run(made, "cut"))


@pytest.mark.slow
def test_two_processes_and_two_micro_batches_equal_one(tmp_path: Path) -> None:
    sweep = {"one": {}, "micro_batches": {"train.accumulate": 2}, "two": {"train.devices": 2}}
    without_dropout = {**BOTH, "image": {**PROMPTS, "dropout": 0.0}}
    sections = {"bottlenecks": without_dropout, "train": {"max_steps": 4}, "data": {"validation": None}}
    experiment = load(str(write_experiment(tmp_path, images=12, bottleneck=None, **sections, sweep={"points": sweep})))
    assert run_locally(experiment, experiment.points, tmp_path / "runs") == {}
    runs = [RunDirectory(tmp_path / "runs" / experiment.name / name) for name in sweep]
    whole, *others = [load_file(run.artifact / "adapter_model.safetensors") for run in runs]
    assert sum(name.endswith(".prompts") for name in whole) == 12
    for other in others:
        torch.testing.assert_close(other, whole, atol=1e-4, rtol=1e-4)
