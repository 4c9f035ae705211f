"""LoRA (arXiv 2106.09685) with a routing function between its two projections."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.context import ContextSlot
from vlrouting.bottleneck.layers import Bottleneck
from vlrouting.config import BottleneckConfig


def projection_widths(projection: nn.Module) -> tuple[int, int]:
    """(inputs, outputs) of an nn.Linear or of a transformers `Conv1D`, which stores its weight the other way round.

    Raises:
        TypeError: the module is neither.
    """
    if isinstance(projection, nn.Linear):
        return projection.in_features, projection.out_features
    if type(projection).__name__ == "Conv1D":
        weight: Tensor = projection.weight  # type: ignore[assignment]
        return weight.shape[0], weight.shape[1]
    raise TypeError(f"LoRA goes onto Linear and Conv1D modules, not {type(projection).__name__}")


class LoRA(Bottleneck):
    """base(x) + scale · up(route(down(x), down(v))), with scale = alpha / rank.

    `columns` are the output columns of a fused projection that are adapted, one range per target; the targets form one
    bottleneck of len(columns) · R channels, on which routing acts jointly.
    """

    columns: Tensor

    def __init__(
        self,
        name: str,
        config: BottleneckConfig,
        projection: nn.Module,
        columns: tuple[range, ...],
        visual_width: int,
        slot: ContextSlot,
    ) -> None:
        inputs, _ = projection_widths(projection)
        super().__init__(name, config, inputs, tuple(map(len, columns)), visual_width, slot, bias=False)
        self.scale = (config.alpha if config.alpha is not None else config.rank) / config.rank
        index = torch.tensor([column for group in columns for column in group])
        self.register_buffer("columns", index, persistent=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        self.up.reset_parameters(zero=True)

    def forward(self, x: Tensor, base_output: Tensor) -> Tensor:
        """(B, T, D), base(x) (B, T, D') -> (B, T, D')."""
        delta = (self.scale * self.update(x)).to(base_output.dtype)
        if delta.shape[-1] == base_output.shape[-1]:
            return base_output + delta
        return base_output.index_add(-1, self.columns, delta)

    def install(self, host: nn.Module) -> RemovableHandle:
        """Add the update to what `host` returns."""
        return host.register_forward_hook(self._on_output)

    # A method rather than a closure: a deep copy of the model then calls its own bottleneck.
    def _on_output(self, _host: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        adapted: Tensor = self(inputs[0], output)
        return adapted

    @torch.no_grad()
    def merge_into(self, projection: nn.Module) -> None:
        """Fold the update into the projection's weight.

        Raises:
            ValueError: the bottleneck is routed, so its update depends on the image.
        """
        if self.config.routed:
            raise ValueError(
                f"{self.name}: routing '{self.config.routing}' depends on the image and cannot be merged; "
                "only routing: none can"
            )
        downs = torch.split(self.down.weight, self.config.rank)
        ups = torch.split(self.up.weight, self.up.outputs)
        update = self.scale * torch.cat([up @ down for up, down in zip(ups, downs, strict=True)])  # (Σ outputs, D)
        weight: Tensor = projection.weight  # type: ignore[assignment]
        if isinstance(projection, nn.Linear):
            weight.index_add_(0, self.columns, update.to(weight.dtype))
        else:
            weight.index_add_(1, self.columns, update.T.to(weight.dtype))
