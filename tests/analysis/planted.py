"""Untrained points with large random bottlenecks, and routing functions whose effect is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vlrouting.bottleneck import Bottleneck
from vlrouting.config import ROUTINGS
from vlrouting.experiment import load
from vlrouting.routing import register_routing
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.inputs import SharedInputs

IGNORE, COPY = "planted_ignore", "planted_copy"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def planted_routings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered for a test alone: other tests go through all routing functions."""
    for name in ("_facts", "_implementations"):
        monkeypatch.setattr(ROUTINGS, name, dict(getattr(ROUTINGS, name)))
    register_routing(IGNORE)(ignore)
    register_routing(COPY)(copy)


def ignore(x_t: Tensor, x_v: Tensor) -> Tensor:
    """The text alone."""
    return x_t


def copy(x_t: Tensor, x_v: Tensor) -> Tensor:
    """The image alone."""
    return x_v.mean(dim=1, keepdim=True).expand_as(x_t)


def build(file: Path, *overrides: str, std: float = 0.5) -> Built:
    """The experiment's first point in float32; bottlenecks have parameters of this standard deviation."""
    chosen = load(str(file), ["train.precision=32-true", *overrides])
    built = build_point(chosen.points[0].config, SharedInputs(CPU))
    model = built.task.model
    torch.manual_seed(5)
    for module in model.modules():
        if isinstance(module, Bottleneck):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=std)
    for parameter in getattr(model, "head", nn.Identity()).parameters():
        nn.init.normal_(parameter, std=0.5)
    return built
