"""Probes: the loss at five points along a direction of each group. Weights are afterwards what they were, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vlrouting.selection.adapeft.parabola import OFFSETS, Parabola, fit

Loss = Callable[[], Tensor]
"""The same batch and the same random numbers in every call."""
NO_GRADIENT = "no gradient"


def direction_of(gradients: Sequence[Tensor], kind: str) -> list[Tensor] | None:
    """The direction of a group, whose root mean square over the numbers that have a gradient is 1.

    The gain does not depend on this scale, only the length of the steps does. None where all gradients are zero.

    Args:
        gradients: of the parameters of the group.
        kind: `sign` or `gradient`.
    """
    moved = sum(int(gradient.count_nonzero()) for gradient in gradients)
    if not moved:
        return None
    if kind == "sign":
        return [gradient.sign() for gradient in gradients]
    square = sum(float(gradient.double().pow(2).sum()) for gradient in gradients)
    return [gradient * (moved / square) ** 0.5 for gradient in gradients]


@torch.no_grad()
def losses_along(
    loss: Loss, parameters: Sequence[nn.Parameter], direction: Sequence[Tensor], step: float
) -> list[float]:
    """L(w - offset·step·g) for each of `OFFSETS`: four forward passes."""
    before = [parameter.clone() for parameter in parameters]
    found = []
    try:
        for offset in OFFSETS:
            for parameter, value, along in zip(parameters, before, direction, strict=True):
                parameter.copy_(value - offset * step * along)
            found.append(loss().item())
    finally:
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
    return found


def probe(loss: Loss, groups: Sequence[Sequence[nn.Parameter]], kind: str, step: float) -> list[Parabola]:
    """The parabola of each group: 4K + 1 forward passes for K groups that have a gradient. One further forward and
    backward pass gives the directions.

    Args:
        loss: a scalar.
        groups: their parameters.
        kind: see `direction_of`.
        step: of a direction.
    """
    with torch.enable_grad():
        flat = torch.autograd.grad(loss(), [p for group in groups for p in group], materialize_grads=True)
    with torch.no_grad():
        base = loss()
    gradients, found = iter(flat), []
    for group in groups:
        direction = direction_of([next(gradients) for _ in group], kind)
        if direction is None:
            found.append(Parabola(0.0, 0.0, base.item(), math.nan, NO_GRADIENT))
            continue
        losses = losses_along(loss, group, direction, step)
        found.append(fit(base.item(), losses, step, torch.finfo(base.dtype).eps))
    return found
