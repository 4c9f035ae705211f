"""Adapter (arXiv 1902.00751) with a routing function between down-projection and activation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.families import activation_of
from vlrouting.bottleneck.layers import GroupedLinear, LowRankBottleneck
from vlrouting.bottleneck.projections import projection_widths
from vlrouting.bottleneck.sub_layer import SubLayerInput, install_beside
from vlrouting.bottleneck.targets import Target, parallel_targets, sub_layer_targets
from vlrouting.config import AdapterConfig, BottleneckConfig

PARALLEL_SCALE = 4.0
"""Section 4.5 of arXiv 2110.04366 finds it better than 1."""


class Adapter(LowRankBottleneck):
    """x + up(activation(route(down(x), down(v)))); without `residual` the sum is left out.

    With `residual`, `up` starts at zero and the model starts as it was; without, `up` keeps a Linear's initialisation.

    `position: parallel` (arXiv 2110.04366) reads the input of the sub-layer and adds scale · up(…) to its output. Its
    base layers are pairs: the module that reads the sub-layer's input, and its last module.
    """

    config: AdapterConfig
    up: GroupedLinear

    def __init__(self, config: AdapterConfig, site: Site) -> None:
        parallel = config.position == "parallel"
        width = _width(site, 0, after=config.position in ("post_module", "post_norm"))
        outputs = _width(site, -1, after=True) if parallel else width
        activation = activation_of(site.model)
        super().__init__(config, site, input_width=width, outputs=(outputs,), bias=True, activation=activation)
        self.parallel = parallel
        self.scale = PARALLEL_SCALE if config.scale is None else config.scale
        self._sub_layer_input = SubLayerInput()
        if config.residual:
            self.up.reset_parameters(zero=True)

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: the attention and the MLP of every block."""
        assert isinstance(config, AdapterConfig)
        if config.position == "parallel":
            return parallel_targets(model, config.layers, targets=config.targets, shared=config.shared)
        part = "module" if config.position == "post_module" else "norm"
        return sub_layer_targets(model, config.targets, config.layers, part=part, shared=config.shared)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        y = self.update(x).to(x.dtype)
        return x + y if self.config.residual else y

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Put the adapter before (`pre_norm`) or after each base layer; a shared adapter has several."""
        if self.parallel:
            return install_beside(base_layers, self._on_sub_layer_input, self._on_sub_layer_output)
        if self.config.position == "pre_norm":
            return [layer.register_forward_pre_hook(self._on_input) for layer in base_layers]
        return [layer.register_forward_hook(self._on_output) for layer in base_layers]

    # Methods rather than closures: a deep copy of the model then calls its own bottleneck.
    def _on_input(self, _base_layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self(inputs[0]), *inputs[1:])

    def _on_output(self, _base_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        adapted: Tensor = self(output)
        return adapted

    def _on_sub_layer_input(self, _entry: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._sub_layer_input.tensor = inputs[0]

    def _on_sub_layer_output(self, _last: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        update = self.update(self._sub_layer_input.take())
        return output + (self.scale * update).to(output.dtype)


def _width(site: Site, number: int, *, after: bool) -> int:
    """Width of a base layer's output, or of its input."""
    name, base_layer = site.target.base_layers[number], site.base_layers[number]
    try:
        return projection_widths(base_layer)[1 if after else 0]
    except TypeError:
        parameter = next(base_layer.parameters(), None)
        if parameter is None or parameter.dim() != 1:
            raise ValueError(
                f"{name}: an adapter goes onto a Linear, a Conv1D or a norm, not {type(base_layer).__name__}"
            ) from None
        return parameter.numel()  # a norm
