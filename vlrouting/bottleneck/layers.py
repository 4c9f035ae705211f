"""The parts that LoRA and Adapter share: a down-projection, a routing function, an up-projection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.config import ROUTINGS, BottleneckConfig

if TYPE_CHECKING:
    from vlrouting.bottleneck.context import ContextSlot


class GroupedLinear(nn.Module):
    """One Linear per group, side by side: group g of the input gives group g of the output.

    `weight` is (Σ outputs, R): the rows of the groups one after the other, the layout of a fused LoRA's B.
    """

    def __init__(self, group_width: int, outputs: tuple[int, ...], bias: bool) -> None:
        super().__init__()
        self.group_width, self.outputs = group_width, list(outputs)
        self.weight = nn.Parameter(torch.empty(sum(outputs), group_width))
        self.bias = nn.Parameter(torch.empty(sum(outputs))) if bias else None
        self.reset_parameters(zero=False)

    def reset_parameters(self, zero: bool) -> None:
        """Zeros, or the default initialisation of a Linear."""
        bound = 0.0 if zero else self.group_width**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, groups · R) -> (B, T, Σ outputs)."""
        if len(self.outputs) == 1:
            return functional.linear(x, self.weight, self.bias)
        groups = zip(torch.split(x, self.group_width, dim=-1), torch.split(self.weight, self.outputs), strict=True)
        y = torch.cat([functional.linear(part, weight) for part, weight in groups], dim=-1)
        return y if self.bias is None else y + self.bias.to(y.dtype)


class Bottleneck(nn.Module):
    """Down-projection D -> R, routing function, activation, up-projection R -> D'.

    Attributes:
        down: Linear (R, D); text and image go through it alike.
        image_down: the image's own down-projection with `shared_down: false`, else None.
        up: GroupedLinear.
        name: the module that it acts on, for messages.
    """

    def __init__(
        self,
        name: str,
        config: BottleneckConfig,
        input_width: int,
        outputs: tuple[int, ...],
        visual_width: int,
        slot: ContextSlot,
        bias: bool,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.name, self.config, self._slot = name, config, slot
        rows = len(outputs) * config.rank
        self._check_widths(input_width, outputs, visual_width)
        self.down = nn.Linear(input_width, rows, bias=bias)
        self.up = GroupedLinear(config.rank, outputs, bias)
        own = config.routed and not config.shared_down
        self.image_down = nn.Linear(visual_width, rows, bias=bias) if own else None
        routing = ROUTINGS.load(config.routing)
        self.routing = routing(rows) if ROUTINGS.facts(config.routing).has_parameters else routing
        self.activation = activation or nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def _check_widths(self, input_width: int, outputs: tuple[int, ...], visual_width: int) -> None:
        if not self.config.routed:
            return
        if self.config.place == "after_up":
            if sum(outputs) != visual_width:
                raise ValueError(
                    f"{self.name}: place: after_up needs an output as wide as the visual features ({visual_width}), "
                    f"not {sum(outputs)}; choose other targets"
                )
        elif self.config.shared_down and input_width != visual_width:
            raise ValueError(
                f"{self.name}: takes {input_width} features and the image has {visual_width}, so they cannot share "
                "the down-projection; choose other targets or set shared_down: false"
            )

    @property
    def image_projection(self) -> nn.Linear | None:
        """The Linear that the image goes through, or None where the image is not projected."""
        if not self.config.routed or self.config.place == "after_up":
            return None
        return self.image_down or self.down

    def visual_for(self, rows: int) -> Tensor:
        """What the routing function sees of the image, (B, V, R).

        Raises:
            RuntimeError: the model runs outside of `look_at`.
            ValueError: the image's batch size is not `rows`.
        """
        context = self._slot.current
        if context is None:
            raise RuntimeError(
                f"{self.name}: routing '{self.config.routing}' needs the image; "
                "run the model inside `with routed.look_at(visual):`"
            )
        x_v = context.projected[self.name]
        if x_v.shape[0] != rows:
            raise ValueError(
                f"{self.name}: {rows} rows of text but {x_v.shape[0]} images; "
                "give look_at one image per row (repeat the image for beams)"
            )
        return x_v

    def route(self, x_t: Tensor) -> Tensor:
        """(B, T, R) -> (B, T, R)."""
        if not self.config.routed:
            return x_t
        x_v = self.visual_for(x_t.shape[0]).to(x_t.dtype)
        routed: Tensor = self.routing(x_t, x_v)
        return routed

    def update(self, x: Tensor) -> Tensor:
        """up(activation(route(down(x)))), computed in the bottleneck's own precision: (B, T, D) -> (B, T, D')."""
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.down.weight.dtype)  # a frozen model may be bf16 while its bottlenecks train in float32
        x_t = self.down(self.dropout(x))  # (B, T, R)
        if self.config.place == "after_up":
            return self.route(self.up(self.activation(x_t)))
        routed: Tensor = self.up(self.activation(self.route(x_t)))
        return routed
