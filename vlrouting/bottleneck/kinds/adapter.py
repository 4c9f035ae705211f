"""Adapter (arXiv 1902.00751) with a routing function between down-projection and activation."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.families import activation_of
from vlrouting.bottleneck.layers import GroupedLinear, LowRankBottleneck
from vlrouting.bottleneck.projections import projection_widths
from vlrouting.bottleneck.targets import Target, parallel_targets, sub_layer_targets
from vlrouting.config import AdapterConfig, BottleneckConfig

PARALLEL_SCALE = 4.0
"""Section 4.5 of arXiv 2110.04366 finds it better than 1."""


class _SubLayerInput(threading.local):
    """What the sub-layer has read in this thread, between its entry and its end; a copy is empty."""

    tensor: Tensor | None = None

    def __reduce__(self) -> tuple[type[_SubLayerInput], tuple[()]]:
        return type(self), ()


class Adapter(LowRankBottleneck):
    """x + up(activation(route(down(x), down(v)))); without `residual` the sum is left out.

    With `residual`, `up` starts at zero and the model starts as it was; without, `up` keeps a Linear's initialisation.

    `position: parallel` (arXiv 2110.04366) reads the input of the sub-layer and adds scale · up(…) to its output. Its
    base layers are pairs: the module that reads the sub-layer's input, and its last module.
    """

    config: AdapterConfig
    up: GroupedLinear

    def __init__(self, config: AdapterConfig, site: Site) -> None:
        after = config.position in ("post_module", "post_norm")
        width = _width(site.target.base_layers[0], site.base_layers[0], after)
        activation = activation_of(site.model)
        super().__init__(config, site, input_width=width, outputs=(width,), bias=True, activation=activation)
        self.parallel = config.position == "parallel"
        if self.parallel and len(site.base_layers) % 2:
            raise ValueError(f"{self.key}: position: parallel takes pairs of base layers, not {len(site.base_layers)}")
        self.scale = PARALLEL_SCALE if config.scale is None else config.scale
        self._sub_layer_input = _SubLayerInput()
        if config.residual:
            self.up.reset_parameters(zero=True)

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: the attention and the MLP of every block."""
        assert isinstance(config, AdapterConfig)
        if config.position == "parallel":
            return parallel_targets(model, config.layers, shared=config.shared)
        part = "module" if config.position == "post_module" else "norm"
        return sub_layer_targets(model, config.targets, config.layers, part=part, shared=config.shared)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        y = self.update(x).to(x.dtype)
        return x + y if self.config.residual else y

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Put the adapter before (`pre_norm`) or after each base layer; a shared adapter has several."""
        if self.parallel:
            handles: list[RemovableHandle] = []
            for entry, last in zip(base_layers[::2], base_layers[1::2], strict=True):
                handles.append(entry.register_forward_pre_hook(self._on_sub_layer_input))
                handles.append(last.register_forward_hook(self._on_sub_layer_output))
            return handles
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
        entered, self._sub_layer_input.tensor = self._sub_layer_input.tensor, None
        assert entered is not None
        update = self.update(entered)
        return output + (self.scale * update).to(output.dtype)


def _width(name: str, base_layer: nn.Module, after: bool) -> int:
    """Width of the base layer's output, or of its input."""
    try:
        return projection_widths(base_layer)[1 if after else 0]
    except TypeError:
        parameter = next(base_layer.parameters(), None)
        if parameter is None or parameter.dim() != 1:
            raise ValueError(
                f"{name}: an adapter goes onto a Linear, a Conv1D or a norm, not {type(base_layer).__name__}"
            ) from None
        return parameter.numel()  # a norm
