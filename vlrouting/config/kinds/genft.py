"""`kind: genft`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.limits import Fraction, OneOf, Positive, Range
from vlrouting.config.problem import Problem

ORIENTATIONS = ("vit", "peft")
IDENTITY = "identity"
ACTIVATIONS = (IDENTITY, "leaky_relu", "gelu")


@dataclass(kw_only=True)
class GenftConfig(LowRankConfig):
    """GenFT (arXiv 2506.11042): the update of a square weight is generated from this weight.

    All targets share the generator; `layer_rank` of its `rank` channels belong to each layer alone. The step-0 model is
    not the frozen one.
    """

    kind: str = field(default="genft", kw_only=False)
    layer_rank: Annotated[int, Range(least=1, most=100_000)] = 5
    """How many of the `rank` channels each layer has for itself; the other ones are shared by all targets."""
    orientation: Annotated[str, OneOf(ORIENTATIONS)] = "vit"
    """Which of the two released files: `vit` generates from W, scales the generator's four matrices by `ratio`, and the
    targets of one attention share the layer's part; `peft` generates from the transposed W, scales W by `ratio`, and
    every target has a part of its own."""
    ratio: Positive = 1.4
    """Factor on the generator's matrices (`vit`) or on the weight (`peft`). Released: 1.4 for images, 0.5 for GLUE."""
    inner_activation: Annotated[str, OneOf(ACTIVATIONS)] = IDENTITY
    """After the down-projection of each of the two stages."""
    outer_activation: Annotated[str, OneOf(ACTIVATIONS)] = "leaky_relu"
    """After the up-projection of each of the two stages."""
    final_activation: Annotated[str, OneOf(ACTIVATIONS)] | None = None
    """In place of `outer_activation` in the second stage. Default: the same, as released. Routing needs `identity`."""
    generator_bias: bool = False
    """Biases in the generator. In the released code for language models they are on, without being asked for."""
    update_scale: Positive = 1.0
    """Factor on the generated update."""
    matrix_dropout: Fraction = 0.0
    """Dropout on the matrix that each of the two stages gives, while training. With routing, that of the second stage
    acts on the generated projection."""

    @property
    def last_activation(self) -> str:
        """After the up-projection of the second stage."""
        return self.final_activation or self.outer_activation

    @property
    def is_product(self) -> bool:
        """Whether the update is a product of a down- and an up-projection."""
        return self.last_activation == IDENTITY and not self.generator_bias

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.layer_rank >= self.rank:
            message = f"{self.layer_rank} of {self.rank} channels leave none to the shared generator"
            found.append(Problem(("layer_rank", "rank"), message, "set a larger rank"))
        if self.routed and self.last_activation != IDENTITY:
            key = "outer_activation" if self.final_activation is None else "final_activation"
            message = f"routing acts between two projections, and {self.last_activation} acts on their product"
            found.append(Problem((key, "routing"), message, "set final_activation: identity"))
        if self.routed and self.generator_bias:
            message = "routing acts between two projections, and a bias is added to their product"
            found.append(Problem(("generator_bias", "routing"), message, "set generator_bias: false"))
        for key in ("shared_down_per_task", "shared_up_per_task"):
            if getattr(self, key):
                message = "down- and up-projection come from one generator and cannot be shared by themselves"
                found.append(Problem((key,), message, "set false", depends_on=("kind",)))
        return found
