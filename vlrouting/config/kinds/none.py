"""`kind: none`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vlrouting.config.bottleneck import BottleneckConfig


@dataclass
class NoBottleneckConfig(BottleneckConfig):
    """No bottleneck at all: only what `model.unfreeze` names is trained, and the projector and head."""

    kind: str = "none"
    attaches: ClassVar[bool] = False
    no_routing: ClassVar[str] = "it attaches nothing"
