"""`kind: none`: nothing is attached. With `model.unfreeze` it is BitFit, LayerNorm tuning or full fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Bottleneck
from vlrouting.bottleneck.targets import Target
from vlrouting.config import BottleneckConfig


class NoBottleneck(Bottleneck):
    """Finds no targets, so it is never built."""

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """None."""
        return []

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Nothing."""
        return []
