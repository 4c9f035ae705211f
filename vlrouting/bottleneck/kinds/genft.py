"""GenFT (arXiv 2506.11042): an update that is generated from the frozen weight, with a routing function in it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.bottleneck.base import Bottleneck, Site, shared
from vlrouting.bottleneck.context import ForwardContext
from vlrouting.bottleneck.generated import GeneratedProjection, Generator, LayerPart
from vlrouting.bottleneck.projection_update import ProjectionUpdate
from vlrouting.bottleneck.projections import outputs_first, projection_widths
from vlrouting.config.kinds.genft import GenftConfig


class GenFT(ProjectionUpdate):
    """base(x) + update_scale · x ΔW, with ΔW generated from the weight W (D, D) that is adapted.

    Stage k has A_k = [shared; a], (R, D), and B_k = [shared, b], (D, R):

        H = outer(inner(W A₁ᵀ) B₁ᵀ),   G = inner(Hᵀ A₂ᵀ),   ΔW = final(G B₂ᵀ)

    with dropout on H and ΔW, which are (D, D). All targets of the configuration that have one width share the generator
    (with `per_task`, those of one task); a and b belong to a layer. `orientation` chooses the released file:

    - `vit`: x ΔW; `ratio` multiplies A_k and B_k; all targets of an attention have one (a, b).
    - `peft`: x ΔWᵀ, because ΔW is applied as a Linear's weight; `ratio` multiplies W; every target has its own (a, b).

    Without activations and ratio, the Linear's weight changes by B₂A₂ W (B₁A₁)ᵀ in `vit` and by B₁A₁ Wᵀ (B₂A₂)ᵀ in
    `peft`: there W is transposed.

    Where the final activation is the identity, a routing function fits between G and B₂: x G is routed by v G, and goes
    through B₂ᵀ; with `peft`, x B₂ is routed by v B₂ and goes through Gᵀ. This combination is ours. The second dropout
    then acts on G.

    ΔW does not start at zero: step 0 is not the frozen model. It is generated once in a forward pass, whatever the
    batch; without gradients and dropout once per `look_at`, as long as no weight changes.

    Attributes:
        generator: shared by all targets.
        parts: a and b; one for all groups of columns (`vit`), or one for each (`peft`).
    """

    config: GenftConfig

    def __init__(self, config: GenftConfig, site: Site) -> None:
        _require_square(site)
        super().__init__(config, site)
        self.scale = config.update_scale
        self._base_layers = site.base_layers  # a tuple, so that the frozen weight is not the bottleneck's
        self._groups, self._is_vit = len(self.columns) // self.input_width, config.orientation == "vit"
        width, over = self.input_width, site.over_targets
        if self.image_down is not None:  # for the image there is no weight to generate from
            self.image_down = nn.Linear(site.visual_width, self._groups * config.rank, bias=False)
        self.generator = shared(over, f"generator {width} {site.task}", lambda: Generator(config, width))
        attention = site.target.name.rpartition(".")[0]
        if self._is_vit:
            parts = [shared(over, f"part {attention} {site.task}", lambda: LayerPart(config, width))]
        else:
            parts = [LayerPart(config, width) for _ in range(self._groups)]
        self.parts = nn.ModuleList(parts)

    def make_down(self, site: Site, inputs: int, rows: int, bias: bool) -> nn.Module:
        """See `LowRankBottleneck`."""
        return GeneratedProjection(self._down_weight)

    def make_up(self, site: Site, outputs: tuple[int, ...], bias: bool) -> nn.Module:
        """See `LowRankBottleneck`."""
        return GeneratedProjection(self._up_weight, outputs)

    @property
    def text_projection(self) -> nn.Module | None:  # type: ignore[override]
        """The down-projection; None where the update is no product of a down- and an up-projection."""
        return self.down if self.config.is_product else None

    def update(self, x: Tensor) -> Tensor:
        """x ΔW, with the routing function in it: (B, T, D) -> (B, T, Σ columns)."""
        self._forget_stale()
        try:
            if self.config.routed or (self.config.is_product and not self._drops):
                return super().update(x)
            if not torch.is_autocast_enabled(x.device.type):
                x = x.to(self.dtype)
            return functional.linear(self.dropout(x), self._once("update", lambda: self._update_weight(self._drops)))
        finally:
            self._forget_stale()

    def project_image(self, visual: Tensor) -> Tensor:
        """The image as it is: `routed_image` projects it where the text's projection is generated."""
        return visual

    def routed_image(self, context: ForwardContext, rows: int) -> tuple[Tensor, Tensor | None]:
        """See `LowRankBottleneck`."""
        if self.image_down is not None or self.config.place == "after_up":
            return super().routed_image(context, rows)
        visual = context.projected[self.key]
        image = self._once("image", lambda: self.down.forward(visual.to(self.dtype)), visual)
        views = [image if key == self.key else view for key, view in context.projected.items()]
        return context.with_projected(views).image_for(self.key, rows)

    def check_mergeable(self) -> None:
        """See `Bottleneck`. Merging another bottleneck of the layer would change the weight that this one reads."""
        super().check_mergeable()
        others = (child for child in self._base_layers[0].children() if isinstance(child, Bottleneck))
        if any(other is not self for other in others):
            raise ValueError(f"{self.key}: generated from a weight that another bottleneck changes; merge it alone")

    def weight_update(self) -> Tensor:
        """What is added to the weight without routing: (Σ columns, D)."""
        return self.scale * self._update_weight(drops=False)

    def _update_weight(self, drops: bool) -> Tensor:
        """ΔW, outputs first: (Σ columns, D)."""
        whole = [self.generator.update(self._frozen(n), self._part(n), drops) for n in range(self._groups)]
        return torch.cat([each.T for each in whole] if self._is_vit else whole)

    def _down_weight(self) -> Tensor:
        """(groups · R, D)."""
        weight = self._generated if self._is_vit else self._trained
        return self._once("down", lambda: torch.cat([weight(n).T for n in range(self._groups)]))

    def _up_weight(self) -> Tensor:
        """(Σ columns, R)."""
        weight = self._trained if self._is_vit else self._generated
        return self._once("up", lambda: torch.cat([weight(n) for n in range(self._groups)]))

    def _generated(self, group: int) -> Tensor:
        """G of a group of columns, (D, R)."""
        narrow = self.generator.projection(self._frozen(group), self._part(group), self._drops)
        return functional.dropout(narrow, self.config.matrix_dropout, self._drops)

    def _trained(self, group: int) -> Tensor:
        """B₂ of a group of columns, (D, R)."""
        return self.generator.second.up_weight(self._part(group))

    def _frozen(self, group: int) -> Tensor:
        """W of a group of columns, (D, D), outputs first, in the bottleneck's precision; without a gradient."""
        weight = outputs_first(self._base_layers[0]).detach()
        if len(weight) > self.input_width:
            weight = weight.index_select(0, self.columns.view(-1, self.input_width)[group])
        weight = weight.to(self.dtype)
        return weight if self._is_vit else self.config.ratio * weight

    def _part(self, group: int) -> LayerPart:
        part: LayerPart = self.parts[group % len(self.parts)]  # type: ignore[assignment]
        return part

    @property
    def _drops(self) -> bool:
        return self.training and self.config.matrix_dropout > 0

    def _forget_stale(self) -> None:
        """Forget what was generated, where the next forward pass needs a new autograd graph or drops other values."""
        if self.slot.current is not None and (torch.is_grad_enabled() or self._drops):
            self.slot.current.kept.pop(self.key, None)

    def _once(self, name: str, make: Callable[[], Tensor], source: Tensor | None = None) -> Tensor:
        """What `make` gives, kept for as long as it holds; always made anew outside of `look_at`.

        Args:
            name: of what is made.
            make: makes it.
            source: what it is made from, beside the weights.
        """
        if self.slot.current is None:
            return make()
        weights = () if torch.is_grad_enabled() else (*self.parameters(), self._base_layers[0].weight)
        versions = tuple(weight._version for weight in weights)
        kept = self.slot.current.kept.setdefault(self.key, {})
        if name not in kept or kept[name][0] != versions or kept[name][1] is not source:
            kept[name] = versions, source, make()
        made: Tensor = kept[name][2]
        return made


def _require_square(site: Site) -> None:
    """
    Raises:
        ValueError: the target is no square weight.
    """
    inputs, outputs = projection_widths(site.base_layers[0])
    for width in map(len, site.target.columns or (range(outputs),)):
        if width != inputs:
            raise ValueError(
                f"{site.key}: GenFT generates the update of a square weight, and this one is {width} x {inputs}; "
                "choose targets that are square, such as query and output"
            )
