"""`kind: proto_hyper` in whole runs: cut off and resumed, on two devices, and predicted from the artifact."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_backbones import save_tiny_bart
from tests.tiny_experiment import write_several_datasets
from tests.training.event_curves import curve
from tests.training.test_resume import assert_same, stop_at
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.training.interruption import Cancelled

MEMORY = "language.model.decoder.layers.0.fc2.bottleneck_decoder.choice.retriever.memory"
ENCODER = {"kind": "adapter", "rank": 4, "position": "parallel", "targets": ["encoder.layers.*.fc2"]}


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """Questions and captions for a tiny BART, in two processes and in one."""
    monkeypatch.setenv("PATH", "/nowhere")  # no Java: METEOR takes seconds
    decoder = {"kind": "proto_hyper", "rank": 4, "routing": "mul", "inference": "retrieval", "memory": 12}
    sections: dict[str, Any] = {
        "bottleneck": None,
        "bottlenecks": {"encoder": ENCODER, "decoder": decoder},
        "language": {"name": str(save_tiny_bart(tmp_path / "bart"))},
        "train": {"max_steps": 8, "validate_every_steps": 4, "checkpoint_every_steps": 2},
        "evaluate": {"panel": 0},
        "sweep": {"points": {"one": {}, "two": {"train.devices": 2}}},
    }
    return load(str(write_several_datasets(tmp_path, images=10, **sections)))


def test_a_run_that_is_cut_off_remembers_the_queries(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = [point for point in experiment.points if point.name == "one"]
    assert train(experiment, one, tmp_path / "whole") == {}
    whole = RunDirectory(tmp_path / "whole" / experiment.name / "one")
    stop_at(monkeypatch, 3, signal.SIGTERM)
    with pytest.raises(Cancelled):
        train(experiment, one, tmp_path / "cut")
    assert train(experiment, one, tmp_path / "cut") == {}
    cut = RunDirectory(tmp_path / "cut" / experiment.name / "one")
    assert_same(whole, cut)
    for tag in ("train/loss", "loss/vqa", "loss/captions"):
        assert curve(cut, tag) == curve(whole, tag) and curve(whole, tag), tag
    memory = load_file(whole.artifact / "adapter_model.safetensors")[MEMORY]
    torch.testing.assert_close(memory.norm(dim=2), torch.ones(2, 12))


@pytest.mark.slow
def test_two_processes_equal_one(experiment: Experiment, tmp_path: Path) -> None:
    assert run_locally(experiment, experiment.points, tmp_path / "runs") == {}
    runs = [RunDirectory(tmp_path / "runs" / experiment.name / name) for name in ("one", "two")]
    losses = [[value for _, value in curve(run, "train/loss")] for run in runs]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5) and len(losses[0]) == 8
    one, two = (load_file(run.artifact / "adapter_model.safetensors") for run in runs)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-4, rtol=1e-3)
    assert runs[1].read_metrics() == pytest.approx(runs[0].read_metrics())
