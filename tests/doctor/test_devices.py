"""Devices that are not there, or cannot do what is asked. The GPUs are made up: the checks only count and compare."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.doctor.checking import findings_of, only_problem, problems
from vlrouting.doctor import devices
from vlrouting.doctor.devices import Gpu

GPU = ("train.accelerator=gpu",)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, of a kind without bf16."""
    monkeypatch.setattr(devices, "gpus", lambda: (Gpu("Tesla V100", False),) * 2)
    monkeypatch.setattr("vlrouting.doctor.memory.free_memory", lambda gpus: 2**34)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_where_there_is_none(tiny: Path) -> None:
    only_problem(findings_of(tiny, *GPU), "fault", "devices", "torch finds no GPU", "train.accelerator=cpu")
    assert problems(findings_of(tiny, "train.accelerator=auto")) == []


def test_more_devices_than_there_are(tiny: Path, gpus: None) -> None:
    only_problem(findings_of(tiny, *GPU, "train.devices=4"), "fault", "devices", "there are 2 GPUs", "train.devices=2")
    for fits in ("train.devices=2", "train.devices=1"):
        assert problems(findings_of(tiny, *GPU, fits)) == []
    findings = findings_of(tiny, "train.accelerator=auto", "train.devices=4")
    only_problem(findings, "fault", "devices", "there are 2 GPUs", "train.devices=2")


def test_bf16_on_a_gpu_without(tiny: Path, gpus: None) -> None:
    findings = findings_of(tiny, *GPU, "train.precision=bf16-mixed")
    only_problem(findings, "warning", "devices", "Tesla V100 only imitates", "16-mixed")
    only_problem(findings_of(tiny, *GPU, "language.dtype=bfloat16"), "warning", "devices", "language.dtype", "float16")


def test_more_processes_than_cores_and_half_precision_on_a_cpu(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1}, raising=False)
    only_problem(findings_of(tiny, "train.devices=4"), "warning", "devices", "2 cores", "train.devices=2")
    only_problem(findings_of(tiny, "train.precision=16-mixed"), "warning", "devices", "no CPU has", "bf16-mixed")


def test_several_machines_without_a_scheduler(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlrouting.doctor.network.addresses_of", lambda name: ["10.0.0.1"])
    only_problem(findings_of(tiny, "train.nodes=2"), "fault", "devices", "train.nodes is 2", "--launcher slurm")
