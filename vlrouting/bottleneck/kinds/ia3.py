"""IA3 (arXiv 2205.05638): trained scales on the keys, the values and the activations inside the MLP."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Bottleneck, Site
from vlrouting.bottleneck.families import family_of
from vlrouting.bottleneck.projections import outputs_first, projection_widths
from vlrouting.bottleneck.targets import Target, block_of, projection_targets
from vlrouting.config import BottleneckConfig

DEFAULT_TARGETS = ("key", "value", "down")


class IA3(Bottleneck):
    """scale ⊙ base(x) on the output of a projection; base(scale ⊙ x) on the input of the MLP's down-projection.

    The scales start at 1, so that step 0 equals the frozen model.

    Attributes:
        scale: (Σ columns,) for outputs, (D,) for inputs.
    """

    columns: Tensor

    def __init__(self, config: BottleneckConfig, site: Site) -> None:
        super().__init__(config, site)
        inputs, outputs = projection_widths(site.base_layers[0])
        family, (_, rest) = family_of(site.model), block_of(site.target.name)
        self.on_input = family is not None and any(fnmatchcase(rest, pattern) for pattern in family.roles["down"])
        groups = site.target.columns or (range(outputs),)
        index = range(inputs) if self.on_input else [column for group in groups for column in group]
        self.register_buffer("columns", torch.tensor(list(index)), persistent=False)
        self.scale = nn.Parameter(torch.ones(len(index)))

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: key and value projections and the MLP's down-projection of every block."""
        return projection_targets(model, config.targets or DEFAULT_TARGETS, config.layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), with the scaled columns."""
        scale = self.scale.to(x.dtype)
        if len(scale) == x.shape[-1]:
            return x * scale
        return x * torch.ones_like(x[0, 0]).index_copy(0, self.columns, scale)

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Scale what the base layer reads, or what it returns."""
        if self.on_input:
            return [base_layers[0].register_forward_pre_hook(self._on_input)]
        return [base_layers[0].register_forward_hook(self._on_output)]

    # Methods rather than closures: a deep copy of the model then calls its own bottleneck.
    def _on_input(self, _base_layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self(inputs[0]), *inputs[1:])

    def _on_output(self, _base_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        scaled: Tensor = self(output)
        return scaled

    @torch.no_grad()
    def merge_into(self, base_layer: nn.Module) -> None:
        """Scale the weight's rows of these outputs and the bias, or the columns of these inputs."""
        weight, axis = outputs_first(base_layer), 1 if self.on_input else 0
        shape = (-1, 1) if axis == 0 else (1, -1)
        scaled = weight.index_select(axis, self.columns) * self.scale.view(shape).to(weight.dtype)
        weight.index_copy_(axis, self.columns, scaled)
        bias = getattr(base_layer, "bias", None)
        if bias is not None and not self.on_input:
            bias[self.columns] *= self.scale.to(bias.dtype)
