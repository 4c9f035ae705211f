"""`kind: context_bitfit`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vlrouting.config.kinds.contexts import VectorContextsConfig


@dataclass(kw_only=True)
class ContextBitFitConfig(VectorContextsConfig):
    """Context-PEFT's BitFit (arXiv 2312.08900): image tokens and text tokens have biases of their own, which are added
    to those that the model has, and to layers without one."""

    kind: str = field(default="context_bitfit", kw_only=False)
    no_routing: ClassVar[str] = "a bias has no two projections between which a routing function could act"
