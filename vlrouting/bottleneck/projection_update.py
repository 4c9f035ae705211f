"""What the kinds that add a low-rank update to the output of a projection share: LoRA and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.layers import LowRankBottleneck
from vlrouting.bottleneck.projections import outputs_first, projection_widths
from vlrouting.bottleneck.targets import Target, projection_targets
from vlrouting.config import BottleneckConfig, LowRankConfig

DEFAULT_TARGETS = ("query", "value")


class Projection(Protocol):
    """A down- or up-projection that some weight stands for."""

    @property
    def weight(self) -> Tensor: ...


class GroupedProjection(Projection, Protocol):
    """An up-projection; group g of the input gives group g of the output."""

    outputs: list[int]


class ProjectionUpdate(LowRankBottleneck):
    """base(x) + scale · up(route(down(x), down(v))).

    `columns` are the output columns of a fused projection that are adapted, one range per target; the targets form one
    bottleneck of len(columns) · R channels, on which routing acts jointly.
    """

    columns: Tensor
    scale: float = 1.0

    def __init__(self, config: LowRankConfig, site: Site) -> None:
        inputs, width = projection_widths(site.base_layers[0])
        groups = site.target.columns or (range(width),)
        super().__init__(config, site, input_width=inputs, outputs=tuple(map(len, groups)), bias=False)
        index = torch.tensor([column for group in groups for column in group])
        self.register_buffer("columns", index, persistent=False)

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: query and value of every block."""
        return projection_targets(model, config.targets or DEFAULT_TARGETS, config.layers)

    def forward(self, x: Tensor, base_output: Tensor) -> Tensor:
        """(B, T, D), base(x) (B, T, D') -> (B, T, D')."""
        return self.added(base_output, self.scale * self.update(x))

    def added(self, base_output: Tensor, delta: Tensor) -> Tensor:
        """The output (B, T, D') with (B, T, Σ columns) added to the adapted columns."""
        delta = delta.to(base_output.dtype)
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
        """scale · up · down, what is added to the weight without routing: (Σ columns, D)."""
        down: Projection = self.down  # type: ignore[assignment]
        up: GroupedProjection = self.up  # type: ignore[assignment]
        downs, ups = torch.split(down.weight, self.config.rank), torch.split(up.weight, up.outputs)
        return self.scale * torch.cat([part @ down for part, down in zip(ups, downs, strict=True)])
