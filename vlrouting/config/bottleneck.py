"""The bottleneck: its kind, its width, where it goes, how the image routes it."""

from __future__ import annotations

from dataclasses import dataclass

from vlrouting.config.checks import at_least, one_of

BUILTIN_ROUTINGS = ("none", "add", "mul", "expand", "gram", "gram_relu", "self")
"""The registered functions of `vlrouting.routing`; a test holds the two lists together."""
CROSS_ATTENTION = "cross_attention"
KINDS = ("lora", "adapter")
PLACES = ("bottleneck", "after_up")
POSITIONS = ("post_module", "pre_norm", "post_norm")


@dataclass
class BottleneckConfig:
    """The bottleneck that every chosen module gets (design of arXiv 2403.09377, section 3)."""

    kind: str = "lora"
    """`lora` or `adapter`."""
    rank: int = 64
    """Width R of the bottleneck."""
    alpha: float | None = None
    """LoRA only: the update is scaled by alpha / rank. Default: rank, a scale of 1."""
    routing: str = "none"
    """The routing function: none, add, mul, expand, gram, gram_relu, self, one that a plugin registers, or
    `cross_attention`: attention from text to image with weights of its own, the paper's rival."""
    place: str = "bottleneck"
    """`bottleneck`, or `after_up`: an ablation that routes after the up-projection, with the features as they are."""
    shared_down: bool = True
    """The image goes through the text's own down-projection; false gives it one of its own."""
    targets: list[str] | None = None
    """LoRA: roles (query, key, value, output, up, down) or, with a dot or a star, patterns of module names.
    Adapter: patterns of module names. Default: query and value, or what the family table says."""
    layers: list[int] | None = None
    """Which blocks get bottlenecks, counted from 0. Default: all."""
    position: str = "post_module"
    """Adapter only: after the sub-layer's module, before its norm, or after its norm."""
    shared: bool = False
    """Adapter only: one adapter per block, used after attention and after the MLP."""
    residual: bool = True
    """Adapter only: add the adapter's input to its output."""
    dropout: float = 0.0
    """Dropout on the bottleneck's text input while training."""
    train_layer_norm: bool = True
    """Also train the norms inside the blocks."""

    @property
    def routed(self) -> bool:
        """Whether the bottleneck looks at the image at all."""
        return self.routing != "none"

    def problems(self, known_routings: tuple[str, ...] = BUILTIN_ROUTINGS) -> list[str]:
        """Sentences `key: what is wrong`, empty when the section is sound."""
        found = (
            one_of("kind", self.kind, KINDS)
            + one_of("routing", self.routing, (*known_routings, CROSS_ATTENTION))
            + one_of("place", self.place, PLACES)
            + one_of("position", self.position, POSITIONS)
            + at_least("rank", self.rank, 1)
        )
        if not 0 <= self.dropout < 1:
            found.append(f"dropout: {self.dropout} is not in [0, 1)")
        if self.place == "after_up" and not self.routed:
            found.append("place: after_up needs a routing function; set routing")
        if self.place == "after_up" and self.routing in ("self", "gram_relu", "cross_attention"):
            found.append(
                f"place: after_up cannot train with routing: {self.routing}, whose gradient is zero while `up` is zero "
                "or which needs the bottleneck's width"
            )
        if self.place == "after_up" and not self.shared_down:
            found.append("shared_down: has no meaning with place: after_up, which does not project the image")
        if self.kind == "adapter" and self.alpha is not None:
            found.append("alpha: belongs to kind: lora; an adapter has no scale")
        if self.kind == "lora" and (self.position != "post_module" or self.shared or not self.residual):
            found.append("position, shared, residual: belong to kind: adapter, not to lora")
        return found
