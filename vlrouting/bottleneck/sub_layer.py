"""What a bottleneck beside a sub-layer has read at its entry, until the sub-layer ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class SubLayerInput(threading.local):
    """What the sub-layer has read in this thread, between its entry and its end; a copy is empty."""

    tensor: Tensor | None = None

    def take(self) -> Tensor:
        """The tensor, which is forgotten."""
        tensor, self.tensor = self.tensor, None
        assert tensor is not None
        return tensor

    def __reduce__(self) -> tuple[type[SubLayerInput], tuple[()]]:
        return type(self), ()


def install_beside(
    base_layers: Sequence[nn.Module], on_input: Callable[..., Any], on_output: Callable[..., Any]
) -> list[RemovableHandle]:
    """Register hooks on pairs of base layers: the module that reads a sub-layer's input, and its last module.

    Raises:
        ValueError: they are no pairs.
    """
    if len(base_layers) % 2:
        raise ValueError(f"a sub-layer is a pair of base layers, its entry and its last, not {len(base_layers)}")
    handles: list[RemovableHandle] = []
    for entry, last in zip(base_layers[::2], base_layers[1::2], strict=True):
        handles.append(entry.register_forward_pre_hook(on_input))
        handles.append(last.register_forward_hook(on_output))
    return handles
