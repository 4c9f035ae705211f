"""`kind: compacter`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.kinds.adapter import AdapterConfig
from vlrouting.config.limits import Range
from vlrouting.config.problem import Problem


@dataclass(kw_only=True)
class CompacterConfig(AdapterConfig):
    """Compacter (arXiv 2106.04647): an adapter whose projections are sums of Kronecker products."""

    kind: str = field(default="compacter", kw_only=False)
    divisions: Annotated[int, Range(least=1, most=1_000)] = 4
    """Number n of Kronecker products A_i ⊗ B_i of a projection; A_i is (n, n). It divides the rank and the widths."""
    factor_rank: Annotated[int, Range(least=1, most=100_000)] | None = 1
    """Rank of every B_i = s_i t_i. null: B_i is a whole matrix, as in VL-Adapter (arXiv 2112.06825)."""
    shared_rule: bool = True
    """All projections of the model share the A_i (of each task, with `per_task`); false gives each its own."""

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.divisions > 0 and self.rank % self.divisions:
            found.append(Problem(("divisions", "rank"), f"{self.divisions} does not divide the rank {self.rank}"))
        return found
