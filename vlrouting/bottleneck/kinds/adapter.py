"""Adapter (arXiv 1902.00751) with a routing function between down-projection and activation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.context import ContextSlot
from vlrouting.bottleneck.layers import Bottleneck
from vlrouting.config import BottleneckConfig


class Adapter(Bottleneck):
    """x + up(activation(route(down(x), down(v)))); without `residual` the sum is left out.

    With `residual`, `up` starts at zero and the model starts as it was; without, `up` keeps a Linear's initialisation.
    """

    def __init__(
        self,
        name: str,
        config: BottleneckConfig,
        width: int,
        visual_width: int,
        slot: ContextSlot,
        activation: nn.Module,
    ) -> None:
        super().__init__(name, config, width, (width,), visual_width, slot, bias=True, activation=activation)
        if config.residual:
            self.up.reset_parameters(zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        y = self.update(x).to(x.dtype)
        return x + y if self.config.residual else y

    def install(self, hosts: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Put the adapter before (`pre_norm`) or after each of the hosts; a shared adapter has several."""
        if self.config.position == "pre_norm":
            return [host.register_forward_pre_hook(self._on_input) for host in hosts]
        return [host.register_forward_hook(self._on_output) for host in hosts]

    # Methods rather than closures: a deep copy of the model then calls its own bottleneck.
    def _on_input(self, _host: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self(inputs[0]), *inputs[1:])

    def _on_output(self, _host: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        adapted: Tensor = self(output)
        return adapted
