"""VeRA (arXiv 2310.11454): frozen random projections, of which only two vectors are trained."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.bottleneck.base import Site, shared
from vlrouting.bottleneck.layers import grouped_linear
from vlrouting.bottleneck.projection_update import ProjectionUpdate
from vlrouting.config import VeraConfig

D_INITIAL = 0.1
"""Start of the vector d: the best in the paper's table 6."""


class FrozenProjection(nn.Module):
    """A random matrix (rows, inputs) that follows from a seed and its shape alone.

    It is neither a parameter nor a buffer: no file has it, and no process sends it to another one. Every change of the
    module's precision or device rounds it anew from float32, so that a model that was saved and loaded has the same.
    """

    def __init__(self, seed: int, rows: int, inputs: int) -> None:
        super().__init__()
        self.seed, self.shape = seed, (rows, inputs)
        self.weight = self._drawn()

    def _drawn(self) -> Tensor:
        """Uniform with Kaiming's bound, as the paper has it, in float32. `RandomState` promises the same numbers in all
        versions of NumPy, which PyTorch's generator does not."""
        bound = math.sqrt(6 / self.shape[1])
        random = np.random.RandomState([self.seed, *self.shape])
        return torch.from_numpy(random.uniform(-bound, bound, self.shape).astype(np.float32))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenProjection:
        self.weight = fn(self._drawn())
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class ScaledDown(nn.Module):
    """d ⊙ (A x), with A frozen.

    Attributes:
        scale: the vector d, (R,).
    """

    def __init__(self, site: Site, seed: int, inputs: int, rows: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(D_INITIAL * torch.ones(rows))  # first: loading refuses a vector that is too long
        self.frozen = shared(
            site.over_targets, f"vera down {inputs} {rows}", lambda: FrozenProjection(seed, rows, inputs)
        )

    @property
    def weight(self) -> Tensor:
        """What it multiplies by, (R, D)."""
        return self.scale.unsqueeze(1) * self.frozen.weight

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) -> (…, R)."""
        return functional.linear(x, self.frozen.weight) * self.scale


class ScaledUp(nn.Module):
    """b ⊙ (B z), with B frozen; group g of z gives group g of the output.

    Attributes:
        scale: the vector b, (Σ outputs,); zero at the start.
    """

    def __init__(self, site: Site, seed: int, rank: int, outputs: tuple[int, ...]) -> None:
        super().__init__()
        rows, self.outputs = sum(outputs), list(outputs)
        self.scale = nn.Parameter(torch.zeros(rows))
        self.frozen = shared(site.over_targets, f"vera up {rank} {rows}", lambda: FrozenProjection(seed, rows, rank))

    @property
    def weight(self) -> Tensor:
        """What it multiplies by, (Σ outputs, R)."""
        return self.scale.unsqueeze(1) * self.frozen.weight

    def forward(self, z: Tensor) -> Tensor:
        """(…, groups · R) -> (…, Σ outputs)."""
        return grouped_linear(z, self.frozen.weight, self.outputs) * self.scale


class VeRA(ProjectionUpdate):
    """base(x) + b ⊙ B route(d ⊙ A x, d ⊙ A v).

    A and B are random, frozen, and the same in all bottlenecks of the configuration whose projections have the same
    shape (the paper has one shape; peft cuts smaller matrices out of the largest). They are not stored: the seed is. b
    starts at zero, so that step 0 equals the frozen model.
    """

    config: VeraConfig

    def make_down(self, site: Site, inputs: int, rows: int, bias: bool) -> nn.Module:
        """See `LowRankBottleneck`. Without `shared_down` the image has a vector d of its own."""
        return ScaledDown(site, self.config.projection_seed, inputs, rows)

    def make_up(self, site: Site, outputs: tuple[int, ...], bias: bool) -> nn.Module:
        """See `LowRankBottleneck`."""
        return ScaledUp(site, self.config.projection_seed, self.config.rank, outputs)
