"""`kind: ia3`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vlrouting.config.bottleneck import BottleneckConfig


@dataclass
class Ia3Config(BottleneckConfig):
    """IA3 (arXiv 2205.05638): trained scales on keys, values and MLP activations."""

    kind: str = "ia3"
    no_routing: ClassVar[str] = "it has no two projections between which a routing function could act"
