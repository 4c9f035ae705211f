"""`kind: context_lora`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vlrouting.config.kinds.contexts import ContextConfig, ContextKindConfig
from vlrouting.config.kinds.lora import LoraConfig
from vlrouting.config.problem import Problem


@dataclass(kw_only=True)
class ContextLoraConfig(ContextKindConfig, LoraConfig):
    """Context-PEFT's LoRA (arXiv 2312.08900): image tokens and text tokens have projections of their own."""

    kind: str = field(default="context_lora", kw_only=False)
    bias: bool = False
    """A trained bias per context, added to the update after scaling."""

    def rank_of(self, context: ContextConfig) -> int:
        """R of a context."""
        return self.rank if context.rank is None else context.rank

    def scale_of(self, context: ContextConfig) -> float:
        """What a context's update is multiplied by: alpha / R, or alpha / √R."""
        rank = self.rank_of(context)
        alpha = next((each for each in (context.alpha, self.alpha) if each is not None), rank)
        return alpha / (math.sqrt(rank) if self._is_stabilized(context) else rank)

    def routing_of(self, context: ContextConfig) -> str:
        """Name of the routing function of a context."""
        return self.routing if context.routing is None else context.routing

    def _is_stabilized(self, context: ContextConfig) -> bool:
        return (context.scaling or self.scaling) == "rank_stabilized"

    @property
    def routings(self) -> dict[str, str]:
        """See `BottleneckConfig`."""
        named = self.named_contexts.items()
        own = {f"contexts.{name}.routing": each.routing for name, each in named if each.routing is not None}
        return {**({"routing": self.routing} if len(own) < len(named) else {}), **own}

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        if self.place != "bottleneck":
            message = "the contexts share one up-projection, so no context has an output of its own to route"
            return [Problem(("place",), message, "set place: bottleneck", depends_on=("kind",))]
        found = super().problems()
        if self.routing != "none" and "routing" not in self.routings:
            message = "has no effect, because every context has a routing of its own"
            found.append(Problem(("routing",), message, "take it out", depends_on=("contexts",)))
        for name, context in self.named_contexts.items():
            if self.alpha is None and context.alpha is None and context.scaling == "rank_stabilized":
                keys = (f"contexts.{name}.scaling", f"contexts.{name}.alpha")
                found.append(Problem(keys, "rank_stabilized scales by alpha / √rank", "set alpha"))
        return found
