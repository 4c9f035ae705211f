"""LoRA (arXiv 2106.09685) with a routing function between its two projections."""

from __future__ import annotations

import math

from torch import nn

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.layers import GroupedLinear
from vlrouting.bottleneck.projection_update import ProjectionUpdate
from vlrouting.config import LoraConfig


class LoRA(ProjectionUpdate):
    """base(x) + scale · up(route(down(x), down(v))), with scale = alpha / R, or alpha / √R (arXiv 2312.03732)."""

    config: LoraConfig
    down: nn.Linear
    up: GroupedLinear

    def __init__(self, config: LoraConfig, site: Site) -> None:
        super().__init__(config, site)
        alpha = config.alpha if config.alpha is not None else config.rank
        self.scale = alpha / (config.rank if config.scaling == "standard" else math.sqrt(config.rank))
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        self.up.reset_parameters(zero=True)
