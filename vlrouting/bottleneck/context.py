"""What the bottlenecks of one model may know of the current forward: the image, projected once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.bottleneck.layers import Bottleneck


class VisualContext:
    """The facts of one forward, or of one `generate` call.

    Attributes:
        visual: (B, V, D) visual features.
        projected: module name -> what its routing function sees, (B, V, R) (or `visual` itself with
            `place: after_up`).
    """

    def __init__(self, visual: Tensor, bottlenecks: Mapping[str, Bottleneck]) -> None:
        self.visual = visual
        self.projected: dict[str, Tensor] = {}
        self._bottlenecks = bottlenecks
        self._versions: tuple[int, ...] = ()
        self._with_gradients = False
        self._used = False
        self._project()

    def begin_forward(self) -> None:
        """Project again where the projections would be stale: a new graph is wanted, or the weights have moved.

        While generating, neither is the case, so the image is projected once per call and not once per token.
        """
        stale = torch.is_grad_enabled() and (self._used or not self._with_gradients)
        if stale or self._versions != self._weight_versions():
            self._project()
        self._used = True

    def _projections(self) -> dict[str, nn.Linear]:
        return {name: b.image_projection for name, b in self._bottlenecks.items() if b.image_projection is not None}

    def _weight_versions(self) -> tuple[int, ...]:
        return tuple(layer.weight._version for layer in self._projections().values())

    def _project(self) -> None:
        """One product for all layers: visual (B, V, D) times the stacked down-projections (ΣR, D)."""
        layers = self._projections()
        self.projected = {name: self.visual for name in self._bottlenecks}
        if layers:
            weight = torch.cat([layer.weight for layer in layers.values()])  # (ΣR, D)
            stacked = functional.linear(self.visual.to(weight.dtype), weight)  # (B, V, ΣR)
            widths = [layer.out_features for layer in layers.values()]
            for (name, layer), part in zip(layers.items(), torch.split(stacked, widths, dim=-1), strict=True):
                self.projected[name] = part if layer.bias is None else part + layer.bias.to(part.dtype)
        self._versions = self._weight_versions()
        self._with_gradients = torch.is_grad_enabled()
        self._used = False


class ContextSlot:
    """The one place where a model's bottlenecks find the current VisualContext, or None."""

    def __init__(self) -> None:
        self.current: VisualContext | None = None

    @contextmanager
    def holding(self, context: VisualContext | None) -> Iterator[None]:
        """Make `context` the current one; the one before comes back at the end."""
        before, self.current = self.current, context
        try:
            yield
        finally:
            self.current = before
