"""A hypernetwork that generates the projections of adapters from a trained prototype per task (arXiv 2310.11670)."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

START = 1e-3
"""The heads' weights start in U(±START · √(3 / (P · fan))), where the authors' code has it; so the generated adapters
start near zero."""


@dataclass(frozen=True)
class Generated:
    """One projection as it was generated for N tasks."""

    weight: Tensor
    """(N, inputs, outputs)."""
    bias: Tensor
    """(N, outputs)."""
    order: Tensor | None
    """(B,) which of the N each row takes; None where N is 1."""


class Head(nn.Module):
    """Generates the weight and the bias of one projection, each by a Linear."""

    def __init__(self, width: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.weight, self.bias = nn.Linear(width, inputs * outputs), nn.Linear(width, outputs)
        for layer, fan in ((self.weight, inputs), (self.bias, 1)):
            bound = START * math.sqrt(3 / (width * fan))
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, order: Tensor | None = None) -> Generated:
        """The projection for N tasks, of whose features (N, P); `order` is that of `Generated`."""
        weight = self.weight(features).view(-1, self.inputs, self.outputs)
        return Generated(weight, self.bias(features), order)


class HyperNetwork(nn.Module):
    """z = LayerNorm(W₂ relu(W₁ [k; e])) of a task's prototype k and a layer's embedding e; heads turn z into weights.

    All layers share it; the embedding is the layer's own.

    Attributes:
        prototypes: (tasks, P), trained.
        heads: name of a projection -> its head.
    """

    def __init__(self, tasks: int, width: int, hidden: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(tasks, width))
        self.first, self.second = nn.Linear(2 * width, hidden), nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.heads = nn.ModuleDict()

    def head(self, name: str, inputs: int, outputs: int) -> Head:
        """The head of a projection, made for the first layer that asks.

        Raises:
            ValueError: another layer has a projection of other widths.
        """
        if name not in self.heads:
            self.heads[name] = Head(self.norm.normalized_shape[0], inputs, outputs)
        head: Head = self.heads[name]  # type: ignore[assignment]
        if (head.inputs, head.outputs) != (inputs, outputs):
            raise ValueError(
                f"one head generates the {name}-projections of all targets, and they are {head.inputs} x "
                f"{head.outputs} and {inputs} x {outputs}; choose targets of the same widths"
            )
        return head

    def forward(self, layer: Tensor, prototypes: Tensor) -> Tensor:
        """A layer's embedding (P,) and N of the prototypes (N, P) -> (N, P)."""
        both = torch.cat([prototypes, layer.expand_as(prototypes)], dim=1)  # (N, 2 P)
        features: Tensor = self.norm(self.second(functional.relu(self.first(both))))
        return features


class _Current(threading.local):
    """What a projection computes with in this thread; a copy is empty."""

    generated: Generated | None = None

    def __reduce__(self) -> tuple[type[_Current], tuple[()]]:
        return type(self), ()


class GeneratedLinear(nn.Module):
    """x W + b with the weight and the bias that were generated for each row's task."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head
        self._current = _Current()

    @contextmanager
    def using(self, generated: Generated) -> Iterator[None]:
        """Compute with this weight and bias inside the block."""
        before, self._current.generated = self._current.generated, generated
        try:
            yield
        finally:
            self._current.generated = before

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) -> (B, T, outputs)."""
        now = self._current.generated
        assert now is not None
        y = functional.linear(x, now.weight[0].T, now.bias[0])
        for number in range(1, len(now.weight)):  # every row through the few tasks' weights: no copy of them per row
            assert now.order is not None
            other = functional.linear(x, now.weight[number].T, now.bias[number])
            y = torch.where((now.order == number)[:, None, None], other, y)
        return y
