"""A linear head that predicts from a feature vector which thing, if any, is in each of several slots."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.pretrain.scenes import NOTHING


class Readout(nn.Module):
    """One linear map to the logits of all slots.

    Args:
        width: Dv.
        slots: number of slots P.
        sizes: number of values of each attribute.
    """

    def __init__(self, width: int, slots: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.slots, self.sizes = slots, tuple(sizes)
        self.linear = nn.Linear(width, slots * (1 + sum(sizes)))

    def forward(self, features: Tensor) -> Tensor:
        """(..., Dv) -> logits (..., P, 1 + all values); the first is for the presence of a thing."""
        logits: Tensor = self.linear(features)
        return logits.view(*features.shape[:-1], self.slots, 1 + sum(self.sizes))

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropies of presence and, for present things, of attributes; summed over slots, mean over the rest.

        Args:
            features: (..., Dv).
            labels: (..., P, attributes), NOTHING for an empty slot.
        """
        logits = self(features)
        there = labels[..., 0] != NOTHING  # (..., P)
        total = F.binary_cross_entropy_with_logits(logits[..., 0], there.to(logits.dtype), reduction="sum")
        values = logits[there][:, 1:].split(self.sizes, dim=-1)
        for scores, wanted in zip(values, labels[there].unbind(-1), strict=True):
            total = total + F.cross_entropy(scores, wanted, reduction="sum")
        return total / features[..., 0].numel()

    def correct(self, features: Tensor, labels: Tensor) -> Tensor:
        """Which slots are predicted correctly, (..., P): empty, or present with all attributes."""
        logits = self(features)
        there = logits[..., 0] > 0
        values = torch.stack([scores.argmax(-1) for scores in logits[..., 1:].split(self.sizes, dim=-1)], dim=-1)
        read = values.masked_fill(~there.unsqueeze(-1), NOTHING)
        return (read == labels).all(-1)
