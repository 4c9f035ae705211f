"""Whole runs on a GPU: what they write, and what a CPU predicts with it.

The shorter ones run on the CPU too, so that a test cannot fall behind the code where no GPU is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tiny_experiment import write_caption_experiment, write_experiment
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.prediction.predictor import Predictor

GPU = [pytest.mark.gpu, pytest.mark.slow]
DEVICES = {"cpu": "cpu: ", "gpu": "cuda: "}
"""`train.accelerator` -> how the device is called in run.json."""


def predicted(trained: Predictor, record: dict[str, str]) -> str:
    """What the artifact says to a test example."""
    image = Path(record["image"])
    return trained.answer(image, record["question"]).text if "question" in record else trained.caption(image)


@pytest.mark.parametrize(
    ("write", "accelerator", "precision", "alike"),
    [
        (write_caption_experiment, "cpu", "32-true", 1.0),
        pytest.param(write_experiment, "gpu", "32-true", 1.0, marks=GPU),
        pytest.param(write_experiment, "gpu", "bf16-mixed", 0.9, marks=GPU),
        pytest.param(write_caption_experiment, "gpu", "32-true", 1.0, marks=GPU),  # decoded with two beams
        # One differing token changes all that follow.
        pytest.param(write_caption_experiment, "gpu", "bf16-mixed", 0.5, marks=GPU),
    ],
)
def test_loss_falls_and_a_cpu_predicts_the_same(
    write: Callable[..., Path], accelerator: str, precision: str, alike: float, tmp_path: Path
) -> None:
    settings = {"accelerator": accelerator, "max_steps": 60, "workers": 1, "precision": precision}
    experiment = load(str(write(tmp_path, train=settings)))
    assert train(experiment, experiment.points, tmp_path / "runs") == {}
    run = RunDirectory(tmp_path / "runs" / experiment.name / "default")
    info = run.read_run()
    assert str(info["device"]).startswith(DEVICES[accelerator]) and info["precision"] == precision
    if accelerator == "gpu":
        assert info["peak_memory_bytes"] == torch.cuda.max_memory_allocated() > 0  # not the process's
    losses = [value for _, value in curve(run, "train/loss")]
    assert len(losses) == 60 and all(map(math.isfinite, losses))
    assert sum(losses[-10:]) < sum(losses[:10])
    records = [json.loads(line) for line in run.predictions.read_text().splitlines()]
    trained = Predictor(run.artifact, device="cpu")
    assert next(trained.task_model.model.parameters()).device.type == "cpu"
    same = sum(predicted(trained, record) == record["prediction"] for record in records)
    assert same >= alike * len(records)


# Imported by the point's process: a single process joins a group too, and writes down what it found there.
GROUP = """
from dataclasses import replace
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from vlrouting.tasks.scored import TaskModule
from vlrouting.training import trainer

make_strategy = trainer.make_strategy
trainer.make_strategy = lambda train, rank, model: make_strategy(train, replace(rank, world_size=2), model)

def note(self):
    sharded = sum(isinstance(parameter, DTensor) for parameter in self.parameters())
    Path("group").write_text(f"{torch.distributed.get_backend()} {self.device.type} {sharded > 0}")

TaskModule.on_train_start = note
"""
BACKENDS = {"cpu": "gloo cpu", "gpu": "nccl cuda"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "accelerator"),
    [("fsdp", "cpu"), pytest.param("ddp", "gpu", marks=GPU), pytest.param("fsdp", "gpu", marks=GPU)],
)
def test_a_group_of_one_process_trains_like_a_process_alone(
    strategy: str, accelerator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "group_of_one.py").write_text(GROUP)
    monkeypatch.chdir(tmp_path)
    settings = {"accelerator": accelerator, "max_steps": 12, "precision": "32-true", "strategy": strategy}
    alone = load(str(write_experiment(tmp_path, train=settings)))
    assert run_locally(alone, alone.points, tmp_path / "alone") == {}
    assert not (tmp_path / "group").exists()
    grouped = replace(alone, points=load(str(alone.source), ["plugins=[group_of_one]"]).points)
    assert run_locally(grouped, grouped.points, tmp_path / "grouped") == {}
    assert (tmp_path / "group").read_text() == f"{BACKENDS[accelerator]} {strategy == 'fsdp'}"
    one, other = (RunDirectory(tmp_path / runs / "tiny" / "default") for runs in ("alone", "grouped"))
    for run in (one, other):
        assert str(run.read_run()["device"]).startswith(DEVICES[accelerator])
    a, b = ([value for _, value in curve(run, "train/loss")] for run in (one, other))
    assert len(a) == 12 and b == pytest.approx(a, abs=1e-5)
    assert other.predictions.read_text() == one.predictions.read_text()
