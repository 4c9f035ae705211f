"""Visual features minus the mean, over the standard deviation, of the training images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """(x - mean) / std per channel, with both measured once over the training images.

    The pooled features of a frozen encoder share a large part: on pictures of one kind most of a vector says only
    "a picture of this kind". Without that part the bottlenecks see what differs between two images.

    `measured` makes the two vectors a part of the artifact, though they are not trained.
    """

    measured = True
    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def measure(self, mean: Tensor, deviation: Tensor) -> None:
        """Set both vectors, (Dv,); a channel that hardly ever moves is not blown up, nor are equal images."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp(min=1e-3 * float(deviation.max()) or 1.0))

    def forward(self, features: Tensor) -> Tensor:
        """(B, V, Dv) -> (B, V, Dv)."""
        return (features - self.mean) / self.deviation
