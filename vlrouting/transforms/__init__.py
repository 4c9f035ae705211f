"""Transforms: changes of a loaded backbone before anything is attached, such as pruning or skipping layers.

Nothing is built in. Add your own:

    @dataclass
    class RoundedConfig(TransformConfig):
        digits: int = 2

    @register_transform("rounded", RoundedConfig)
    def rounded(model: nn.Module, config: RoundedConfig) -> None:
        for parameter in model.parameters():
            parameter.data = parameter.data.round(decimals=config.digits)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from vlrouting.config import TRANSFORMS, TransformConfig

Transform = Callable[[nn.Module, Any], None]
"""Changes a loaded, frozen model in place."""


def register_transform(name: str, config: type[TransformConfig]) -> Callable[[Transform], Transform]:
    """Decorator that makes a key `name` of `vision.transforms` and `language.transforms` available.

    Raises:
        ValueError: the name is taken by another function.
    """
    return TRANSFORMS.registering(name, config)


@torch.no_grad()
def apply_transforms(model: nn.Module, transforms: Mapping[str, TransformConfig]) -> list[dict[str, Any]]:
    """Apply the transforms in their order.

    Returns:
        What was done, for the artifact and the feature cache's key: name and keys of each.
    """
    for name, config in transforms.items():
        TRANSFORMS.load(name)(model, config)
    return [{"name": name, **dataclasses.asdict(config)} for name, config in transforms.items()]


__all__ = ["Transform", "apply_transforms", "register_transform"]
