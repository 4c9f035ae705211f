"""`train.gradient_checkpointing` in a vision tower that trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tiny_backbones import save_tiny_clip
from vlrouting.experiment import Experiment, UserError
from vlrouting.models.joint_model import JointModel
from vlrouting.training.assembly import build_point
from vlrouting.training.inputs import SharedInputs

Make = Callable[..., Experiment]
TEXT = {"kind": "lora", "rank": 4, "routing": "mul"}
KINDS = {
    "vfpt": {"kind": "vfpt", "tower": "vision", "tokens": 4, "dropout": 0.3},
    "lora": {"kind": "lora", "tower": "vision", "rank": 4, "dropout": 0.3},
}


def joint_model(make: Make, kind: str, tower: dict[str, Any], *overrides: str, per_task: bool = False) -> JointModel:
    bottlenecks = {"text": TEXT, "image": {**KINDS[kind], "per_task": per_task}}
    made = make(*overrides, bottleneck=None, bottlenecks=bottlenecks, vision={"features": "tokens", **tower})
    model: JointModel = build_point(made.points[0].config, SharedInputs(torch.device("cpu"))).task.model
    return model


def tower_of(library: str, folder: Path) -> dict[str, Any]:
    return {} if library == "timm" else {"name": str(save_tiny_clip(folder)), "image_size": None}


def step(model: JointModel) -> tuple[dict[str, Tensor], int]:
    """The gradients of one pass of the vision tower, and the bytes that its forward pass keeps for the backward one."""
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    assert model.vision is not None
    pixels = torch.randn(2, 3, *model.vision.image_size, generator=torch.Generator().manual_seed(0))
    model.train()
    torch.manual_seed(0)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = model._encode(pixels, "vqav2").pow(2).mean()  # the task is known in the forward pass alone
    loss.backward()
    return {name: value.grad for name, value in model.vision.named_parameters() if value.grad is not None}, kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("library", ["timm", "transformers"])
def test_the_gradients_stay_the_same_and_less_is_kept(
    experiment: Make, tmp_path: Path, library: str, kind: str
) -> None:
    tower = tower_of(library, tmp_path / "clip")
    plain, kept = step(joint_model(experiment, kind, tower))
    recomputed, kept_then = step(joint_model(experiment, kind, tower, "train.gradient_checkpointing=true"))
    assert plain and kept_then < kept / 2
    torch.testing.assert_close(recomputed, plain, atol=1e-6, rtol=1e-5)


def test_timm_cannot_tell_the_task_to_what_it_recomputes(experiment: Make, tmp_path: Path) -> None:
    """transformers can: there the context goes with every block."""
    with pytest.raises(UserError, match=r"gradient_checkpointing.*per_task.*set it to false"):
        joint_model(experiment, "lora", {}, "train.gradient_checkpointing=true", per_task=True)
    tower = tower_of("transformers", tmp_path / "clip")
    plain, _ = step(joint_model(experiment, "lora", tower, per_task=True))
    recomputed, _ = step(joint_model(experiment, "lora", tower, "train.gradient_checkpointing=true", per_task=True))
    assert plain
    torch.testing.assert_close(recomputed, plain, atol=1e-6, rtol=1e-5)


def test_a_tower_without_it_is_refused(experiment: Make) -> None:
    with pytest.raises(UserError, match=r"gradient_checkpointing.*timm has none for crossvit_tiny_240"):
        tower = {"name": "crossvit_tiny_240", "image_size": None, "features": "pooled"}
        joint_model(experiment, "lora", tower, "train.gradient_checkpointing=true")
