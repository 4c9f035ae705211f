"""LoRA (arXiv 2106.09685) with a routing function between its two projections."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.layers import GroupedLinear, LowRankBottleneck
from vlrouting.bottleneck.projections import outputs_first, projection_widths
from vlrouting.bottleneck.targets import Target, projection_targets
from vlrouting.config import BottleneckConfig, LoraConfig

DEFAULT_TARGETS = ("query", "value")


class LoRA(LowRankBottleneck):
    """base(x) + scale · up(route(down(x), down(v))), with scale = alpha / R, or alpha / √R (arXiv 2312.03732).

    `columns` are the output columns of a fused projection that are adapted, one range per target; the targets form one
    bottleneck of len(columns) · R channels, on which routing acts jointly.
    """

    config: LoraConfig
    columns: Tensor
    down: nn.Linear
    up: GroupedLinear

    def __init__(self, config: LoraConfig, site: Site) -> None:
        inputs, width = projection_widths(site.base_layers[0])
        groups = site.target.columns or (range(width),)
        outputs = tuple(map(len, groups))
        super().__init__(config, site, input_width=inputs, outputs=outputs, bias=False)
        alpha = config.alpha if config.alpha is not None else config.rank
        self.scale = alpha / (config.rank if config.scaling == "standard" else math.sqrt(config.rank))
        index = torch.tensor([column for group in groups for column in group])
        self.register_buffer("columns", index, persistent=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        self.up.reset_parameters(zero=True)

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: query and value of every block."""
        return projection_targets(model, config.targets or DEFAULT_TARGETS, config.layers)

    def forward(self, x: Tensor, base_output: Tensor) -> Tensor:
        """(B, T, D), base(x) (B, T, D') -> (B, T, D')."""
        delta = (self.scale * self.update(x)).to(base_output.dtype)
        if delta.shape[-1] == base_output.shape[-1]:
            return base_output + delta
        return base_output.index_add(-1, self.columns, delta)

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Add the update to the output of the base layer."""
        return [base_layers[0].register_forward_hook(self._on_output)]

    # A method rather than a closure: a deep copy of the model then calls its own bottleneck.
    def _on_output(self, base_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        adapted: Tensor = self(inputs[0], output)
        return adapted

    @torch.no_grad()
    def merge_into(self, base_layer: nn.Module) -> None:
        """Add scale · up · down to the weight."""
        weight = outputs_first(base_layer)
        weight.index_add_(0, self.columns, self.weight_update().to(weight.dtype))

    def weight_update(self) -> Tensor:
        """scale · up · down, what is added to the weight without routing: (Σ outputs, D)."""
        downs = torch.split(self.down.weight, self.config.rank)
        ups = torch.split(self.up.weight, self.up.outputs)
        return self.scale * torch.cat([up @ down for up, down in zip(ups, downs, strict=True)])
