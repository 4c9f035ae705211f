"""Context-PEFT's LoRA (arXiv 2312.08900): projections for each modality, with a routing function in any of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vlrouting.bottleneck.base import RoutingTrace, Site, shared
from vlrouting.bottleneck.layers import GroupedLinear
from vlrouting.bottleneck.projection_update import ProjectionUpdate
from vlrouting.bottleneck.targets import Target
from vlrouting.bottleneck.token_contexts import (
    TokenContexts,
    refuse_merging,
    targets_with_contexts,
    with_contexts_met,
)
from vlrouting.config import ROUTINGS, BottleneckConfig
from vlrouting.config.kinds.context_lora import ContextLoraConfig


class RoutingByContext(nn.Module):
    """A routing function for the channels of each context by itself.

    Args:
        routings: of each context, in the order of the channels.
        ranks: number of channels R of each.
        image_ranks: the same of the projected image; 0 for a context that does not route, where the image has none.
        groups: targets of a fused projection; each has Σ R channels, those of a context side by side.
    """

    def __init__(
        self, routings: Mapping[str, str], ranks: Mapping[str, int], image_ranks: Mapping[str, int], groups: int
    ) -> None:
        super().__init__()
        self.ranks, self.image_ranks, self.groups = list(ranks.values()), list(image_ranks.values()), groups
        self.functions = {name: ROUTINGS.load(routing) for name, routing in routings.items()}
        self.attention = nn.ModuleDict(
            {
                name: self.functions.pop(name)(groups * ranks[name])
                for name, routing in routings.items()
                if ROUTINGS.facts(routing).has_parameters
            }
        )
        self.names = list(routings)
        functions = (each.forward if isinstance(each, nn.Module) else each for each in map(self._function, self.names))
        self.takes_mask = all("mask" in inspect.signature(function).parameters for function in functions)

    def forward(self, x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, groups · ΣR), (B, V, groups · ΣR of the image), (B, V) -> (B, T, groups · ΣR)."""
        more = {} if mask is None else {"mask": mask}
        text, image = self._of_contexts(x_t, self.ranks), self._of_contexts(x_v, self.image_ranks)
        routed = [self._function(name)(*pair, **more) for name, *pair in zip(self.names, text, image, strict=True)]
        return torch.cat([part.view(*part.shape[:-1], self.groups, -1) for part in routed], dim=-1).flatten(-2)

    def _function(self, name: str) -> nn.Module:
        return self.attention[name] if name in self.attention else self.functions[name]

    def _of_contexts(self, x: Tensor, ranks: list[int]) -> list[Tensor]:
        """The channels of each context, (…, groups · R)."""
        grouped = x.view(*x.shape[:-1], self.groups, sum(ranks))
        return [part.flatten(-2) for part in torch.split(grouped, ranks, dim=-1)]


class ContextLoRA(ProjectionUpdate):
    """base(x) + Σ_c m_c · (s_c · up_c(route_c(down_c(x), down_c(v))) + b_c), over the contexts c: image, text, all.

    m_c is 1 for the tokens of the context and 0 for others, s_c = alpha / R or alpha / √R, b_c the bias where there is
    one. `up` and b start at zero, so that step 0 equals the frozen model. With the context `all` alone it is LoRA.

    The down-projections of the contexts are one product of Σ R_c rows, and so are the up-projections: a token costs
    what it costs in a LoRA of rank Σ R_c. Routing with a context of its own is ours; the paper has none. A routing
    function sees the tokens of its context alone, also one that sums over tokens.

    Attributes:
        down: D -> groups · Σ R_c, the contexts side by side within each group (target of a fused projection).
        up: groups · Σ R_c -> Σ columns.
        image_down: the image's own with `shared_down: false`, for the contexts that route; else None.
        bias: (contexts, Σ columns), or None.
        channel_scales: (contexts, groups · Σ R_c), s_c on the channels of the context and 0 on others.
    """

    config: ContextLoraConfig
    down: nn.Linear
    up: GroupedLinear
    channel_scales: Tensor

    def __init__(self, config: ContextLoraConfig, site: Site) -> None:
        super().__init__(with_contexts_met(config, site), site)
        self.contexts, groups = TokenContexts(self), len(self.up.outputs)
        ranks, named = self._ranks(), self.config.named_contexts
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        self.up.reset_parameters(zero=True)
        owners = [name for name, rank in ranks.items() for _ in range(rank)]  # of the channels of a group
        scales = [[self.config.scale_of(each) * (owner == name) for owner in owners] for name, each in named.items()]
        self.register_buffer("channel_scales", torch.tensor(scales).repeat(1, groups), persistent=False)
        self.bias = nn.Parameter(torch.zeros(len(named), sum(self.up.outputs))) if self.config.bias else None
        self.attention = None
        if self.config.routed:
            self._route_by_context(site, ranks, groups)

    def _route_by_context(self, site: Site, ranks: Mapping[str, int], groups: int) -> None:
        routings = {name: self.config.routing_of(context) for name, context in self.config.named_contexts.items()}
        image_ranks = dict(ranks)
        if self.image_down is not None:  # it is the routed contexts' alone
            image_ranks = {name: rank if routings[name] != "none" else 0 for name, rank in ranks.items()}
            rows = groups * sum(image_ranks.values())
            downs = site.over_tasks if self.config.shared_down_per_task else {}
            self.image_down = shared(
                downs, "image_down of routed contexts", lambda: nn.Linear(site.visual_width, rows, bias=False)
            )
        routing = RoutingByContext(routings, ranks, image_ranks, groups)
        self.attention, self._takes_mask = routing, routing.takes_mask

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: query and value of every block that reads a token of a context."""
        assert isinstance(config, ContextLoraConfig)
        return targets_with_contexts(model, config, super().find_targets(model, config))

    def _ranks(self) -> dict[str, int]:
        return {name: self.config.rank_of(context) for name, context in self.config.named_contexts.items()}

    def make_down(self, site: Site, inputs: int, rows: int, bias: bool) -> nn.Module:
        """See `LowRankBottleneck`: the contexts' own ranks count, rather than the bottleneck's."""
        return nn.Linear(inputs, rows // self.config.rank * sum(self._ranks().values()), bias=bias)

    def make_up(self, site: Site, outputs: tuple[int, ...], bias: bool) -> nn.Module:
        """See `LowRankBottleneck`."""
        return GroupedLinear(sum(self._ranks().values()), outputs, bias)

    def route(self, x_t: Tensor) -> Tensor:
        """(B, T, groups · ΣR) -> the same: routed, scaled, and zero in the channels of other contexts."""
        scales = self.contexts.per_token(self.channel_scales, x_t)
        if not self.config.routed:
            return x_t * scales
        return super().route(x_t * (scales != 0)) * scales

    def update(self, x: Tensor) -> Tensor:
        """See `LowRankBottleneck`; with the biases."""
        update = super().update(x)
        return update if self.bias is None else update + self.contexts.per_token(self.bias, x)

    def trace(self, projected: Tensor) -> RoutingTrace:
        """See `Bottleneck`. Every token has the channels of its contexts, scaled; the biases are left out."""
        x_t = projected.to(self.dtype)
        before, after = x_t * self.contexts.per_token(self.channel_scales, x_t), self.route(x_t)
        return RoutingTrace(before, after, self.up(before), self.up(after), self._pooled_image(len(x_t)))

    def check_mergeable(self) -> None:
        """See `Bottleneck`."""
        refuse_merging(self)
