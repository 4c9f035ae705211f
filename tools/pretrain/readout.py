"""Linear heads that read from a feature vector what is in a number of places: is there a thing, and which."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.pretrain.scenes import NOTHING


class Readout(nn.Module):
    """One linear map to the logits of all places.

    Args:
        width: Dv.
        places: P.
        sizes: for each attribute of a thing, how many values it has.
    """

    def __init__(self, width: int, places: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.places, self.sizes = places, tuple(sizes)
        self.linear = nn.Linear(width, places * (1 + sum(sizes)))

    def forward(self, features: Tensor) -> Tensor:
        """(..., Dv) -> logits (..., P, 1 + all values): first whether something is there."""
        logits: Tensor = self.linear(features)
        return logits.view(*features.shape[:-1], self.places, 1 + sum(self.sizes))

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropies, the attributes' only where something is; summed over places, mean over the rest.

        Args:
            features: (..., Dv).
            labels: (..., P, attributes), NOTHING where nothing is.
        """
        logits = self(features)
        there = labels[..., 0] != NOTHING  # (..., P)
        total = F.binary_cross_entropy_with_logits(logits[..., 0], there.to(logits.dtype), reduction="sum")
        values = logits[there][:, 1:].split(self.sizes, dim=-1)
        for scores, wanted in zip(values, labels[there].unbind(-1), strict=True):
            total = total + F.cross_entropy(scores, wanted, reduction="sum")
        return total / features[..., 0].numel()

    def right(self, features: Tensor, labels: Tensor) -> Tensor:
        """Which places are read entirely right, (..., P): nothing where nothing is, else every attribute."""
        logits = self(features)
        there = logits[..., 0] > 0
        values = torch.stack([scores.argmax(-1) for scores in logits[..., 1:].split(self.sizes, dim=-1)], dim=-1)
        read = values.masked_fill(~there.unsqueeze(-1), NOTHING)
        return (read == labels).all(-1)
