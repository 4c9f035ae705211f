"""`kind: vl_pet`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.limits import OneOf, Range
from vlrouting.config.problem import Problem

GRANULARITIES = ("large", "middleX", "middleY", "small")


@dataclass(kw_only=True)
class VlPetConfig(LowRankConfig):
    """VL-PET (arXiv 2308.09804): an adapter after a sub-layer, and a gate on their sum: G ⊙ (h + adapter(h))."""

    kind: str = field(default="vl_pet", kw_only=False)
    granularity: Annotated[str, OneOf(GRANULARITIES)] = "large"
    """How fine the gate is: `large`, a number for every token and channel; `middleX`, one per token; `middleY`, one
    per channel; `small`, one per example."""
    gate_rank: Annotated[int, Range(least=1, most=100_000)] | None = None
    """`large` only: width between the gate's two projections. Default: the rank."""

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.gate_rank is not None and self.granularity != "large":
            found.append(Problem(("gate_rank", "granularity"), "belongs to granularity: large"))
        return found
