"""`kind: lora`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.limits import OneOf, Positive
from vlrouting.config.problem import Problem

SCALINGS = ("standard", "rank_stabilized")


@dataclass(kw_only=True)
class LoraConfig(LowRankConfig):
    """LoRA (arXiv 2106.09685): base(x) + scale · up(route(down(x), down(v)))."""

    kind: str = field(default="lora", kw_only=False)
    alpha: Positive | None = None
    """The update is scaled by alpha / rank. Default: rank, a scale of 1."""
    scaling: Annotated[str, OneOf(SCALINGS)] = "standard"
    """`standard`, alpha / rank; or `rank_stabilized`, alpha / √rank (rsLoRA, arXiv 2312.03732), which keeps the size of
    the update where the rank grows, and needs an alpha."""

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.scaling == "rank_stabilized" and self.alpha is None:
            found.append(Problem(("scaling", "alpha"), "rank_stabilized scales by alpha / √rank", "set alpha"))
        return found
