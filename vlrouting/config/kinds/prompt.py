"""`kind: prompt`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.limits import Range
from vlrouting.config.problem import Problem


@dataclass(kw_only=True)
class PromptConfig(BottleneckConfig):
    """Prompt tuning (arXiv 2104.08691): trained tokens before the whole input of the language model.

    In an encoder-decoder they stand before the encoder's input, and the decoder attends to them.
    """

    kind: str = field(default="prompt", kw_only=False)
    tokens: Annotated[int, Range(least=1, most=10_000)] = 40
    """Number of trained tokens. They count as positions of the language model."""
    hidden: Annotated[int, Range(least=1, most=1_000_000)] | None = None
    """Width of the MLP that the tokens go through (Linear, tanh, Linear), as VL-Adapter has it with 800. Default: the
    tokens' embeddings are trained as they are."""

    no_routing: ClassVar[str] = "trained tokens have no two projections between which a routing function could act"

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.tower == "vision":
            message = "trained tokens go into a language model's input; vision towers take pixels"
            found.append(Problem(("tower",), message, "set tower: language", depends_on=("kind",)))
        for key in ("targets", "layers"):
            if getattr(self, key) is not None:
                message = "a prompt stands before the model's input, so there is nothing to choose"
                found.append(Problem((key,), message, f"leave out {key}", depends_on=("kind",)))
        return found
