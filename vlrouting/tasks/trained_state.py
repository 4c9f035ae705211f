"""Checkpoints hold the trainable parameters and what modules have measured, and nothing frozen."""

from __future__ import annotations

from typing import Any

from torch import nn

from vlrouting.bottleneck.artifact import measured_buffers


def keep_trained_state(module: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Drop every frozen tensor from `checkpoint["state_dict"]`."""
    trained = _trained_names(module)
    checkpoint["state_dict"] = {name: t for name, t in checkpoint["state_dict"].items() if name in trained}


def require_trained_state(module: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Check that the checkpoint has exactly the trained tensors of this model.

    Raises:
        ValueError: a tensor is missing or unexpected.
    """
    differing = sorted(_trained_names(module) ^ checkpoint["state_dict"].keys())
    if differing:
        raise ValueError(
            f"the checkpoint is of another model: {', '.join(differing[:3])} ({len(differing)} tensors differ); "
            "remove the run directory to start it again"
        )


def _trained_names(module: nn.Module) -> set[str]:
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    return trained | measured_buffers(module).keys()
