"""`kind: context_ia3`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vlrouting.config.kinds.contexts import VectorContextsConfig


@dataclass(kw_only=True)
class ContextIa3Config(VectorContextsConfig):
    """Context-PEFT's IA3 (arXiv 2312.08900): image tokens and text tokens have scales of their own."""

    kind: str = field(default="context_ia3", kw_only=False)
    no_routing: ClassVar[str] = "it has no two projections between which a routing function could act"
