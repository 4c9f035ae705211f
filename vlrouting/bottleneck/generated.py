"""What GenFT (arXiv 2506.11042) trains: a generator that makes the update of a weight from the weight itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.bottleneck.layers import grouped_linear
from vlrouting.config.kinds.genft import GenftConfig


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": _identity,
    "leaky_relu": functional.leaky_relu,
    "gelu": functional.gelu,
}


class LayerPart(nn.Module):
    """The channels that belong to one layer alone; both stages use them.

    The released code for images starts both matrices at zero. Each is a factor of the other's gradient, so both
    gradients stay zero and the part never trains. Here they start as the weight of a Linear does.

    Attributes:
        down: a, (layer rank, D).
        up: b, (D, layer rank).
    """

    def __init__(self, config: GenftConfig, width: int) -> None:
        super().__init__()
        self.down = _uniform(config.layer_rank, width, inputs=width)
        self.up = _uniform(width, config.layer_rank, inputs=config.rank)


class Stage(nn.Module):
    """The shared channels of one stage: a down- and an up-projection, which the part of a layer completes.

    Attributes:
        down: (R - layer rank, D).
        up: (D, R - layer rank).
        down_bias: (R,); None without biases.
        up_bias: (D,); None without biases.
    """

    def __init__(self, config: GenftConfig, width: int) -> None:
        super().__init__()
        common = config.rank - config.layer_rank
        self.ratio = config.ratio if config.orientation == "vit" else 1.0
        self.down = _uniform(common, width, inputs=width)
        self.up = _uniform(width, common, inputs=common)
        self.down_bias = _uniform(config.rank, inputs=width) if config.generator_bias else None
        self.up_bias = _uniform(width, inputs=common) if config.generator_bias else None

    def narrowed(self, matrix: Tensor, part: LayerPart) -> Tensor:
        """(D, D) -> (D, R)."""
        return functional.linear(matrix, self.ratio * torch.cat([self.down, part.down]), self.down_bias)

    def widened(self, narrow: Tensor, part: LayerPart) -> Tensor:
        """(D, R) -> (D, D)."""
        return functional.linear(narrow, self.up_weight(part), self.up_bias)

    def up_weight(self, part: LayerPart) -> Tensor:
        """B, (D, R)."""
        return self.ratio * torch.cat([self.up, part.up], dim=1)


class Generator(nn.Module):
    """Both stages. `drops` says whether dropout acts.

    All of it is computed in the precision of its parameters: four products one after the other lose too much under
    autocast.
    """

    def __init__(self, config: GenftConfig, width: int) -> None:
        super().__init__()
        self.first, self.second = Stage(config, width), Stage(config, width)
        names = (config.inner_activation, config.outer_activation, config.last_activation)
        self._inner, self._outer, self._last = (ACTIVATIONS[name] for name in names)
        self._dropout = config.matrix_dropout

    def projection(self, weight: Tensor, part: LayerPart, drops: bool) -> Tensor:
        """G: (D, D) -> (D, R)."""
        with torch.autocast(weight.device.type, enabled=False):
            hidden = self._outer(self.first.widened(self._inner(self.first.narrowed(weight, part)), part))  # (D, D)
            hidden = functional.dropout(hidden, self._dropout, drops)
            return self._inner(self.second.narrowed(hidden.T, part))

    def update(self, weight: Tensor, part: LayerPart, drops: bool) -> Tensor:
        """ΔW: (D, D) -> (D, D)."""
        narrow = self.projection(weight, part, drops)
        with torch.autocast(weight.device.type, enabled=False):
            return functional.dropout(self._last(self.second.widened(narrow, part)), self._dropout, drops)


class GeneratedProjection(nn.Module):
    """A projection without parameters of its own."""

    def __init__(self, make: Callable[[], Tensor], outputs: Sequence[int] | None = None) -> None:
        """
        Args:
            make: gives the weight, (outputs, inputs).
            outputs: widths of the groups: group g of the input gives group g of the output. None: all of the input
                gives all of the output.
        """
        super().__init__()
        self._make, self.outputs = make, outputs

    @property
    def weight(self) -> Tensor:
        """(outputs, inputs)."""
        return self._make()

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        if self.outputs is None:
            return functional.linear(x, self.weight)
        return grouped_linear(x, self.weight, self.outputs)


def _uniform(*shape: int, inputs: int) -> nn.Parameter:
    """A parameter that starts as those of PyTorch's Linear with so many inputs."""
    parameter = nn.Parameter(torch.empty(shape))
    nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5)
    return parameter
