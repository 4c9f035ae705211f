"""DoRA (arXiv 2402.09353): LoRA with a trained length for every output of the adapted weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.kinds.lora import LoRA
from vlrouting.bottleneck.projections import outputs_first
from vlrouting.config import LoraConfig


class DoRA(LoRA):
    """m · (W + scale · up · down) x / ‖W + scale · up · down‖ + bias, with one length and one norm per output.

    The paper's W has a column per output; it is a row of an nn.Linear's weight. `magnitude` m starts at ‖W‖ and `up`
    at zero, so that step 0 equals the frozen model. The norm is a constant in the backward pass (section 4.3). Dropout
    acts on the low-rank path alone.

    With routing the output is g · (W x + scale · up(route(down(x), down(v)))) + bias, with the same gain
    g = m / ‖W + scale · up · down‖: the norm stays that of the weight without an image, and the routed update is what
    is added. This combination is ours; neither paper has it.

    Attributes:
        magnitude: (Σ columns,).
    """

    def __init__(self, config: LoraConfig, site: Site) -> None:
        super().__init__(config, site)
        weight = outputs_first(site.base_layers[0]).detach()  # where the model is, which may be the meta device
        self.magnitude = nn.Parameter(weight.index_select(0, self.columns.to(weight.device)).to(self.dtype).norm(dim=1))

    def _on_output(self, base_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        update = self.scale * self.update(inputs[0])
        bias: Tensor | None = base_layer.bias  # type: ignore[assignment]
        adapted = output.index_select(-1, self.columns).to(update.dtype)  # (B, T, Σ columns)
        linear = adapted if bias is None else adapted - bias[self.columns].to(update.dtype)
        gain = self.magnitude / self._kept_norm(base_layer)  # 1 at step 0
        return self.added(output, (gain - 1) * linear + gain * update)

    def _kept_norm(self, base_layer: nn.Module) -> Tensor:
        """`_norm`, computed once per text that is generated and not once per token."""
        context, weights = self.slot.current, (self.down.weight, self.up.weight, base_layer.weight)
        if context is None or torch.is_grad_enabled():
            return self._norm(base_layer)
        versions = tuple(weight._version for weight in weights)  # type: ignore[union-attr]
        if context.kept.get(self.key, (None,))[0] != versions:
            context.kept[self.key] = versions, self._norm(base_layer)
        norm: Tensor = context.kept[self.key][1]
        return norm

    @torch.no_grad()
    def _norm(self, base_layer: nn.Module) -> Tensor:
        """‖W + scale · up · down‖ of every adapted output, (Σ columns,), in the bottleneck's precision."""
        with torch.autocast(self.columns.device.type, enabled=False):  # rounding would make a gain that is not 1
            norm: Tensor = self._direction(base_layer).norm(dim=1)
            return norm

    def _direction(self, base_layer: nn.Module) -> Tensor:
        """W + scale · up · down of the adapted outputs, (Σ columns, D)."""
        update = self.weight_update()
        return outputs_first(base_layer).detach().index_select(0, self.columns).to(update) + update

    @torch.no_grad()
    def merge_into(self, base_layer: nn.Module) -> None:
        """Put m · (W + scale · up · down) / ‖W + scale · up · down‖ in place of the weight."""
        weight, gain = outputs_first(base_layer), self.magnitude / self._norm(base_layer)
        merged = gain.unsqueeze(1) * self._direction(base_layer)
        weight.index_copy_(0, self.columns, merged.to(weight.dtype))
