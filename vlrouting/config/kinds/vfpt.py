"""`kind: vfpt`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.limits import Fraction, OneOf, Range
from vlrouting.config.problem import Problem

FOURIER_TRANSFORMS = ("hidden", "sequence", "both")


@dataclass(kw_only=True)
class VfptConfig(BottleneckConfig):
    """Visual Fourier prompt tuning (arXiv 2411.01327): trained tokens among the patches of a Vision Transformer, the
    first of them Fourier transformed. With `fourier: 0` it is visual prompt tuning (VPT, arXiv 2203.12119).

    `layers`, or `targets` as patterns of blocks, choose which blocks get deep prompts. Default: all.
    """

    kind: str = field(default="vfpt", kw_only=False)
    tokens: Annotated[int, Range(least=1, most=10_000)] = 10
    """Number M of trained tokens of a block. They stand after the class token and before the patches."""
    fourier: Annotated[float, Range(least=0, most=1)] = 0.5
    """Share of the tokens that is transformed (alpha): the first floor(alpha M). The paper tunes it for every task."""
    transform: Annotated[str, OneOf(FOURIER_TRANSFORMS)] = "both"
    """The dimensions of the transform: `hidden`, `sequence` (over the tokens), or `both`, the paper's best."""
    deep: bool = True
    """Every block gets tokens of its own, and those of the block before are left out. False: the tokens enter before
    the first block and stay until the last."""
    dropout: Fraction = 0.0
    """Dropout while training on the tokens that are transformed, before the transform; on all with `fourier: 0`."""

    no_routing: ClassVar[str] = "trained tokens have no two projections between which a routing function could act"

    @property
    def transformed(self) -> int:
        """Number m of the tokens that are transformed, floor(alpha M) of the decimal number that was given: in floating
        point 0.29 · 100 is below 29."""
        return int(round(self.fourier * self.tokens, 6))

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.tower == "language":
            message = "kind: vfpt puts trained tokens among the patches of a vision tower"
            remedy = "set tower: vision, or kind: prompt for trained tokens before the text"
            found.append(Problem(("tower",), message, remedy, depends_on=("kind",)))
        for key in ("targets", "layers"):
            if getattr(self, key) is not None and not self.deep:
                message = "without deep, tokens stand before the first block only, so there is nothing to choose"
                found.append(Problem((key, "deep"), message, f"leave out {key}, or set deep: true"))
        if self.transform != "both" and not self.fourier:
            message = "has no effect with fourier: 0, where nothing is transformed"
            found.append(Problem(("transform", "fourier"), message, "leave out transform, or raise fourier"))
        return found
