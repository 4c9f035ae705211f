"""Activation checkpointing: the backward pass recomputes a block after `look_at` has ended, perhaps in a thread of
autograd's own, and must see the same image.

Whichever way checkpointing was switched on, transformers' blocks call `self._gradient_checkpointing_func(function,
*args)`. It is wrapped here so that every recomputation runs under the context of its own forward. The projected image
is an input of the checkpointed function: with `use_reentrant=True` gradients leave a block through its inputs only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vlrouting.bottleneck.context import ContextSlot

_FUNCTION = "_gradient_checkpointing_func"


class _CarryContext:
    """A checkpointing function that remembers the context of the forward it is called in."""

    def __init__(self, checkpoint: Callable[..., Any], slot: ContextSlot) -> None:
        self.checkpoint, self.slot = checkpoint, slot
        # With `use_reentrant=True` a block trains nothing unless one of its inputs needs a gradient.
        self.anchor = torch.zeros((), requires_grad=True)

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        context = self.slot.current
        image = [] if context is None else list(context.projected.values())

        def run(_anchor: Tensor, *inputs: Any, **inner_kwargs: Any) -> Any:
            seen = None if context is None else context.with_projected(inputs[: len(image)])
            with self.slot.holding(seen):
                return function(*inputs[len(image) :], **inner_kwargs)

        return self.checkpoint(run, self.anchor, *image, *args, **kwargs)


def carry_context(model: nn.Module, slot: ContextSlot) -> None:
    """Wrap the checkpointing function of every block that has one; those that are wrapped already stay as they are."""
    for module in model.modules():
        checkpoint = getattr(module, _FUNCTION, None)
        if checkpoint is not None and not isinstance(checkpoint, _CarryContext):
            setattr(module, _FUNCTION, _CarryContext(checkpoint, slot))


def drop_context(model: nn.Module) -> None:
    """Undo `carry_context`."""
    for module in model.modules():
        checkpoint = getattr(module, _FUNCTION, None)
        if isinstance(checkpoint, _CarryContext):
            setattr(module, _FUNCTION, checkpoint.checkpoint)
