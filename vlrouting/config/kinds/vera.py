"""`kind: vera`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.limits import Range


@dataclass(kw_only=True)
class VeraConfig(LowRankConfig):
    """VeRA (arXiv 2310.11454): LoRA with frozen random projections, of which only two vectors are trained."""

    kind: str = field(default="vera", kw_only=False)
    projection_seed: Annotated[int, Range(least=0, most=2**32 - 1)] = 0
    """Seed of the random projections. They are not stored in the artifact, but drawn again."""
