"""`train.precision: auto` is what the machine computes in."""

import pytest
import torch

from vlrouting.config import TrainConfig
from vlrouting.training import device
from vlrouting.training.device import cpu_has_bf16, precision_of


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_on_a_cpu(native: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_has_bf16", lambda: native)
    assert precision_of(TrainConfig(max_steps=1, precision="auto", accelerator="cpu")) == expected
    assert precision_of(TrainConfig(max_steps=1, precision="16-mixed")) == "16-mixed"


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_on_a_gpu(native: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr(device, "cpu_has_bf16", lambda: not native)
    assert precision_of(TrainConfig(max_steps=1, precision="auto")) == expected


def test_a_pytorch_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert cpu_has_bf16() is False
