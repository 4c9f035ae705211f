"""The kinds of bottleneck: each one's keys, and its line in the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from vlrouting.config.bottleneck import KINDS, BottleneckConfig
from vlrouting.config.limits import Fraction, OneOf, Positive, Range
from vlrouting.config.problem import Problem
from vlrouting.config.routings import ROUTINGS

PLACES = ("bottleneck", "after_up")
POSITIONS = ("post_module", "pre_norm", "post_norm", "parallel")


@dataclass
class NoBottleneckConfig(BottleneckConfig):
    """No bottleneck at all: only what `model.unfreeze` names is trained, and the projector and head."""

    kind: str = "none"
    attaches: ClassVar[bool] = False
    no_routing: ClassVar[str] = "it attaches nothing"


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

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
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


@dataclass(kw_only=True)
class LoraConfig(LowRankConfig):
    """LoRA (arXiv 2106.09685): base(x) + scale · up(route(down(x), down(v)))."""

    kind: str = field(default="lora", kw_only=False)
    alpha: Positive | None = None
    """The update is scaled by alpha / rank. Default: rank, a scale of 1."""


@dataclass(kw_only=True)
class AdapterConfig(LowRankConfig):
    """Adapter (arXiv 1902.00751): x + up(activation(route(down(x), down(v)))).

    `position: parallel` reads the sub-layer's input and adds to its output (arXiv 2110.04366).
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
        if parallel and self.targets is not None:
            found.append(Problem(("targets", "position"), "a parallel adapter spans a sub-layer", "use layers"))
        if parallel and self.place == "after_up":
            found.append(Problem(("place", "position"), "after_up is an ablation of the serial positions"))
        return found


@dataclass
class Ia3Config(BottleneckConfig):
    """IA3 (arXiv 2205.05638): trained scales on keys, values and MLP activations."""

    kind: str = "ia3"
    no_routing: ClassVar[str] = "it has no two projections between which a routing function could act"


for _name, _config, _implementation in (
    ("none", NoBottleneckConfig, "vlrouting.bottleneck.kinds.none:NoBottleneck"),
    ("lora", LoraConfig, "vlrouting.bottleneck.kinds.lora:LoRA"),
    ("adapter", AdapterConfig, "vlrouting.bottleneck.kinds.adapter:Adapter"),
    ("ia3", Ia3Config, "vlrouting.bottleneck.kinds.ia3:IA3"),
):
    KINDS.register(_name, _config, _implementation)
