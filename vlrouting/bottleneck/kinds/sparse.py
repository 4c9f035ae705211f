"""Sparse deltas (the unstructured part of SPT, arXiv 2303.08566): single weights of a projection train."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Bottleneck, Site
from vlrouting.bottleneck.projections import outputs_first, projection_widths
from vlrouting.bottleneck.targets import Target, projection_targets
from vlrouting.config import BottleneckConfig


class Sparse(Bottleneck):
    """base(x) + x Δᵀ + δ, with Δ zero but for the target's entries of the weight and δ but for those of the bias.

    The released code multiplies all chosen rows of the output's gradient with all chosen columns of the input, N²
    numbers for N entries, and keeps the diagonal. Here few entries read and write their own channels alone, B·T·N
    numbers; with more entries than the projection has channels, Δ (D', D) is built.

    Attributes:
        values: (N,), in the order of the positions of the target's entries; zero at the start.
    """

    rows: Tensor
    columns: Tensor
    bias_rows: Tensor

    def __init__(self, config: BottleneckConfig, site: Site) -> None:
        super().__init__(config, site)
        self.inputs, self.outputs = projection_widths(site.base_layers[0])
        size, chosen = self.inputs * self.outputs, sorted(site.target.entries)
        if chosen:
            border = bisect_left(chosen, size)
            entries, in_bias = torch.tensor(chosen[:border], dtype=torch.long), chosen[border:]
        else:  # all, of the columns that the target has
            rows = torch.tensor([row for group in site.target.columns or (range(self.outputs),) for row in group])
            entries, in_bias = (rows[:, None] * self.inputs + torch.arange(self.inputs)).flatten(), []
        self.register_buffer("rows", entries // self.inputs, persistent=False)
        self.register_buffer("columns", entries % self.inputs, persistent=False)
        bias_rows = torch.tensor([entry - size for entry in in_bias], dtype=torch.long)
        self.register_buffer("bias_rows", bias_rows, persistent=False)
        self.values = nn.Parameter(torch.zeros(len(entries) + len(in_bias)))

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: none, because a selector chooses the entries."""
        return [] if config.targets is None else projection_targets(model, config.targets, config.layers)

    def forward(self, x: Tensor, base_output: Tensor) -> Tensor:
        """(B, T, D), base(x) (B, T, D') -> (B, T, D')."""
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.values.dtype)
        in_weight, in_bias = torch.split(self.values, [len(self.rows), len(self.bias_rows)])
        if len(self.rows) > self.inputs + self.outputs:
            update = functional.linear(x, self._delta(in_weight))
        else:
            products = x.index_select(-1, self.columns) * in_weight  # (B, T, N)
            zeros = products.new_zeros((*x.shape[:-1], self.outputs))
            update = zeros.index_add(-1, self.rows, products)
        bias = in_bias.new_zeros(self.outputs).index_copy(0, self.bias_rows, in_bias)
        return base_output + (update + bias).to(base_output.dtype)

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Add the update to the output of the base layer."""
        return [base_layers[0].register_forward_hook(self._on_output)]

    # A method rather than a closure: a deep copy of the model then calls its own bottleneck.
    def _on_output(self, _base_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        adapted: Tensor = self(inputs[0], output)
        return adapted

    def _delta(self, values: Tensor) -> Tensor:
        """(D', D), with the values at the entries."""
        flat = values.new_zeros(self.outputs * self.inputs)
        filled = flat.index_copy(0, self.rows * self.inputs + self.columns, values)
        return filled.view(self.outputs, self.inputs)

    @torch.no_grad()
    def merge_into(self, base_layer: nn.Module) -> None:
        """Add the values to the weights and the bias."""
        in_weight, in_bias = torch.split(self.values, [len(self.rows), len(self.bias_rows)])
        weight = outputs_first(base_layer)
        weight[self.rows, self.columns] += in_weight.to(weight.dtype)
        if len(in_bias):
            bias: Tensor = base_layer.bias  # type: ignore[assignment]
            bias[self.bias_rows] += in_bias.to(bias.dtype)
