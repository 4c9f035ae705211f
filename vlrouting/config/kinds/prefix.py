"""`kind: prefix`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.limits import Range
from vlrouting.config.problem import Problem


@dataclass(kw_only=True)
class PrefixConfig(BottleneckConfig):
    """Prefix tuning (arXiv 2101.00190): trained keys and values before those of the text, in every attention layer.

    `targets` are patterns of attention modules, such as `self_attn` and `encoder_attn` of BART. Default: all, cross-
    attention included.
    """

    kind: str = field(default="prefix", kw_only=False)
    tokens: Annotated[int, Range(least=1, most=10_000)] = 40
    """Number P of trained keys and values of a layer. They take no position of the sequence."""
    hidden: Annotated[int, Range(least=1, most=1_000_000)] | None = None
    """Width of the MLP (Linear, tanh, Linear) that makes the keys and values of all layers from one trained embedding
    per token; section 4.3 of the paper has 512 and 800. Default: the keys and values are trained as they are."""

    no_routing: ClassVar[str] = "trained keys have no two projections between which a routing function could act"

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.tower == "vision":
            message = "a prefix goes through transformers' attention interface, which timm's models do not have"
            found.append(Problem(("tower",), message, "set tower: language", depends_on=("kind",)))
        return found
