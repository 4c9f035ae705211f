"""`kind: adapter`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.limits import OneOf, Positive
from vlrouting.config.problem import Problem

POSITIONS = ("post_module", "pre_norm", "post_norm", "parallel")


@dataclass(kw_only=True)
class AdapterConfig(LowRankConfig):
    """Adapter (arXiv 1902.00751): x + up(activation(route(down(x), down(v)))).

    `position: parallel` reads the sub-layer's input and adds to its output (arXiv 2110.04366); a target that is no
    sub-layer's last module is spanned alone.
    """

    kind: str = field(default="adapter", kw_only=False)
    position: Annotated[str, OneOf(POSITIONS)] = "post_module"
    """Where it stands: after the sub-layer's last module, before its norm, after its norm, or `parallel` to it."""
    shared: bool = False
    """One adapter per block, used after attention and after the MLP."""
    residual: bool = True
    """Add the adapter's input to its output. `position: parallel` adds to the sub-layer's output instead."""
    scale: Positive | None = None
    """`position: parallel` only: factor on what is added. Default: 4 (arXiv 2110.04366, section 4.5)."""

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        parallel = self.position == "parallel"
        if self.scale is not None and not parallel:
            found.append(Problem(("scale", "position"), "belongs to position: parallel"))
        if parallel and not self.residual:
            found.append(Problem(("residual", "position"), "a parallel adapter always adds to its sub-layer's output"))
        if parallel and self.place == "after_up":
            found.append(Problem(("place", "position"), "after_up is an ablation of the serial positions"))
        return found
