"""What the kinds with a down- and an up-projection share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.limits import Fraction, OneOf, Range
from vlrouting.config.problem import Problem
from vlrouting.config.routings import ROUTINGS

PLACES = ("bottleneck", "after_up")


@dataclass(kw_only=True)
class LowRankConfig(BottleneckConfig):
    """What the kinds with a down- and an up-projection share."""

    rank: Annotated[int, Range(least=1, most=100_000)] = 64
    """Width R of the bottleneck."""
    place: Annotated[str, OneOf(PLACES)] = "bottleneck"
    """`bottleneck`, or `after_up`: an ablation that routes after the up-projection, with the features as they are."""
    shared_down: bool = True
    """The image goes through the text's own down-projection; false gives it one of its own."""
    dropout: Fraction = 0.0
    """Dropout on the bottleneck's text input while training."""
    shared_down_per_task: bool = False
    """`per_task` only: all tasks share the down-projections, and each has its own up-projections (the half-shared
    adapters of VL-Adapter, arXiv 2112.06825)."""
    shared_up_per_task: bool = False
    """`per_task` only: all tasks share the up-projections, and each has its own down-projections."""

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems() + self._problems_per_task()
        if self.place != "after_up":
            return found
        if not self.routed:
            found.append(Problem(("place", "routing"), "after_up needs a routing function", "set routing"))
        elif not ROUTINGS.facts(self.routing).after_up:
            message = (
                f"after_up cannot train with routing: {self.routing}, which is zero or constant while `up` is zero"
            )
            found.append(Problem(("place", "routing"), message))
        if not self.shared_down:
            message = "has no effect with place: after_up, which does not project the image"
            found.append(Problem(("shared_down", "place"), message))
        return found

    def _problems_per_task(self) -> list[Problem]:
        halves = [key for key in ("shared_down_per_task", "shared_up_per_task") if getattr(self, key)]
        if len(halves) == 2:
            message = "sharing both projections leaves nothing to each task; share one, or set per_task: false"
            return [Problem(tuple(halves), message)]
        if self.per_task:
            return []
        return [
            Problem((key, "per_task"), "has no effect without bottlenecks per task", "set per_task: true")
            for key in halves
        ]
