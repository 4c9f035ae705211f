"""What the kinds with a down- and an up-projection share: down, routing function, activation, up."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.bottleneck.base import Bottleneck, RoutingTrace, Site, shared
from vlrouting.bottleneck.context import ForwardContext
from vlrouting.config import ROUTINGS, LowRankConfig
from vlrouting.routing import mean_over_visual_tokens


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
        y = grouped_linear(x, self.weight, self.outputs)
        return y if self.bias is None else y + self.bias.to(y.dtype)


def grouped_linear(x: Tensor, weight: Tensor, outputs: Sequence[int]) -> Tensor:
    """(…, groups · R), (Σ outputs, R) -> (…, Σ outputs): group g of x through the rows of group g."""
    groups = zip(torch.split(x, weight.shape[1], dim=-1), torch.split(weight, list(outputs)), strict=True)
    return torch.cat([functional.linear(part, rows) for part, rows in groups], dim=-1)


class LowRankBottleneck(Bottleneck):
    """Down-projection D -> R, routing function, activation, up-projection R -> D'.

    A kind whose projections are no Linear overrides `make_down` and `make_up`.

    Attributes:
        down: D -> R, for text and image alike.
        image_down: the image's own down-projection with `shared_down: false`, else None.
        up: R -> D', in one group per adapted range of columns.
        attention: the routing function, where it has parameters, else None.
    """

    config: LowRankConfig

    def __init__(
        self,
        config: LowRankConfig,
        site: Site,
        *,
        input_width: int,
        outputs: tuple[int, ...],
        bias: bool,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__(config, site)
        rows = len(outputs) * config.rank
        self._check_widths(input_width, outputs, site.visual_width)
        self.input_width = input_width
        downs = site.over_tasks if config.shared_down_per_task else {}
        ups = site.over_tasks if config.shared_up_per_task else {}
        self.down = shared(downs, "down", lambda: self.make_down(site, input_width, rows, bias))
        self.up = shared(ups, "up", lambda: self.make_up(site, outputs, bias))
        self.image_down: nn.Module | None = None
        if config.routed and not config.shared_down:
            self.image_down = shared(downs, "image_down", lambda: self.make_down(site, site.visual_width, rows, bias))
        routing = ROUTINGS.load(config.routing)
        self.attention: nn.Module | None = routing(rows) if ROUTINGS.facts(config.routing).has_parameters else None
        self._routing = None if self.attention is not None else routing
        self._takes_mask = "mask" in inspect.signature(self.attention.forward if self.attention else routing).parameters
        self.activation = activation or nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def _check_widths(self, input_width: int, outputs: tuple[int, ...], visual_width: int) -> None:
        if not self.config.routed:
            return
        if self.config.place == "after_up":
            if sum(outputs) != visual_width:
                raise ValueError(
                    f"{self.key}: place: after_up needs an output as wide as the visual features ({visual_width}), "
                    f"not {sum(outputs)}; choose other targets"
                )
        elif self.config.shared_down and input_width != visual_width:
            raise ValueError(
                f"{self.key}: takes {input_width} features and the image has {visual_width}, so they cannot share "
                "the down-projection; choose other targets or set shared_down: false"
            )

    def make_down(self, site: Site, inputs: int, rows: int, bias: bool) -> nn.Module:
        """A down-projection (…, inputs) -> (…, rows), with rows = groups · R. The model is not known to it."""
        return nn.Linear(inputs, rows, bias=bias)

    def make_up(self, site: Site, outputs: tuple[int, ...], bias: bool) -> nn.Module:
        """The up-projection (…, groups · R) -> (…, Σ outputs)."""
        return GroupedLinear(self.config.rank, outputs, bias)

    @property
    def dtype(self) -> torch.dtype:
        """Of its parameters, in which it computes."""
        return next(self.parameters()).dtype

    @property
    def image_projection(self) -> nn.Linear | None:  # type: ignore[override]
        """The Linear that projects the image; None where the image is not projected, or not by a Linear."""
        if not self.config.routed or self.config.place == "after_up":
            return None
        projection = self.image_down or self.down
        return projection if isinstance(projection, nn.Linear) else None

    def project_image(self, visual: Tensor) -> Tensor:
        """See `Bottleneck`: (B, V, D) -> (B, V, R), or as it is where it is routed after the up-projection."""
        if self.config.place == "after_up":
            return visual
        projection = self.image_down or self.down
        projected: Tensor = projection.forward(visual.to(self.dtype))  # past the hooks, which see the text alone
        return projected

    @property
    def text_projection(self) -> nn.Module:  # type: ignore[override]
        """The down-projection. The image does not go through its `forward`."""
        return self.down

    def route(self, x_t: Tensor) -> Tensor:
        """(B, T, R) -> (B, T, R).

        Raises:
            RuntimeError: there is no image: the model runs outside of `look_at`, or without one.
            ValueError: rows and images do not match, or the routing function takes no mask where there is one.
        """
        if not self.config.routed:
            return x_t
        context = self.slot.current
        if context is None or context.visual is None:
            raise RuntimeError(
                f"{self.key}: routing '{self.config.routing}' needs the image; "
                "run the model inside `with routed.look_at(visual):`, in the same thread"
            )
        x_v, mask = self.routed_image(context, x_t.shape[0])
        x_v = x_v.to(x_t.dtype)
        function = self.attention or self._routing
        assert function is not None
        if mask is not None and not self._takes_mask:
            raise ValueError(f"routing '{self.config.routing}' takes no mask of visual tokens: give it `mask=None`")
        routed: Tensor = function(x_t, x_v) if mask is None else function(x_t, x_v, mask=mask)
        return routed

    def routed_image(self, context: ForwardContext, rows: int) -> tuple[Tensor, Tensor | None]:
        """What the image is to the routing function: see `ForwardContext.image_for`. A kind whose projection does not
        exist outside of its own forward pass applies it here, and gives the image as it is in `project_image`."""
        return context.image_for(self.key, rows)

    def update(self, x: Tensor) -> Tensor:
        """up(activation(route(down(x)))), computed in the bottleneck's own precision: (B, T, D) -> (B, T, D')."""
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.dtype)  # a frozen model may be bf16 while its bottlenecks train in float32
        x_t = self.down(self.dropout(x))  # (B, T, R)
        if self.config.place == "after_up":
            return self.route(self.up(self.activation(x_t)))
        routed: Tensor = self.up(self.activation(self.route(x_t)))
        return routed

    def trace(self, projected: Tensor) -> RoutingTrace:
        """See `Bottleneck`."""
        x_t = projected.to(self.dtype)
        image = self._pooled_image(len(x_t))
        if self.config.place == "after_up":
            plain = self.up(self.activation(x_t))
            update = self.route(plain)
            return RoutingTrace(plain, update, plain, update, image)
        routed = self.route(x_t)
        plain, update = (self.up(self.activation(features)) for features in (x_t, routed))
        return RoutingTrace(x_t, routed, plain, update, image)

    def _pooled_image(self, rows: int) -> Tensor | None:
        """`RoutingTrace.image`; without routing, the image through `down`, where it is as wide as the text."""
        context = self.slot.current
        if context is None or context.visual is None:
            return None
        if self.config.routed:
            projected, mask = self.routed_image(context, rows)
            x_v = projected.to(self.dtype)
        elif self.input_width == context.visual.shape[-1]:
            x_v, mask = self.down.forward(context.visual.to(self.dtype)), context.mask
        else:
            return None
        return mean_over_visual_tokens(x_v, mask).squeeze(1)
