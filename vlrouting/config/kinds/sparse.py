"""`kind: sparse`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vlrouting.config.bottleneck import BottleneckConfig


@dataclass
class SparseConfig(BottleneckConfig):
    """Single weights of projections train, as deltas that start at zero: the weights that a selector such as `spt`
    chooses. With `targets`, and without a selector, all weights of those."""

    kind: str = "sparse"
    of_single_weights: ClassVar[bool] = True
    no_routing: ClassVar[str] = "it changes single weights, with no low-rank features between them"

    @property
    def needs_selector(self) -> bool:
        """See `BottleneckConfig`."""
        return self.targets is None
