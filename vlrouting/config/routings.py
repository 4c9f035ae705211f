"""The routing functions by name, and what must be known of each before an experiment runs."""

from __future__ import annotations

from dataclasses import dataclass

from vlrouting.config.registry import Registry


@dataclass(frozen=True)
class RoutingFacts:
    """What a routing function can be combined with."""

    causal: bool = True
    """A token's output does not depend on later tokens; else the function cannot be used where text is generated."""
    after_up: bool = True
    """It has a gradient where its text input is zero, as it is after an up-projection that starts at zero."""
    has_parameters: bool = False
    """The entry is a module class, built with the bottleneck's width, rather than a function."""


ROUTINGS: Registry[RoutingFacts] = Registry(
    "routing function",
    {
        "none": (RoutingFacts(), "vlrouting.routing:none"),
        "add": (RoutingFacts(), "vlrouting.routing:add"),
        "mul": (RoutingFacts(), "vlrouting.routing:mul"),
        "expand": (RoutingFacts(), "vlrouting.routing:expand"),
        "gram": (RoutingFacts(), "vlrouting.routing:gram"),
        "gram_relu": (RoutingFacts(after_up=False), "vlrouting.routing:gram_relu"),
        "self": (RoutingFacts(causal=False, after_up=False), "vlrouting.routing:self_product"),
        "cross_attention": (
            RoutingFacts(after_up=False, has_parameters=True),
            "vlrouting.bottleneck.cross_attention:CrossAttention",
        ),
    },
)
