"""What bottlenecks can read about the current forward pass: the image, its mask, each position's modality, the task."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.bottleneck.families import Stream
from vlrouting.config import BottleneckConfig

PADDING, TEXT, IMAGE = 0, 1, 2
"""Codes of `ForwardContext.modality`."""


class ImageReader(Protocol):
    """What the context asks of a bottleneck."""

    config: BottleneckConfig
    task: str | None
    leading_tokens: int

    @property
    def image_projection(self) -> nn.Linear | None: ...

    def project_image(self, visual: Tensor) -> Tensor: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


class ForwardContext:
    """The facts of one forward pass, or of one `generate` call.

    It belongs to the thread or async task that opened it with `Routed.look_at`: others open their own, also on the same
    model at the same time. A task that is started inside of `look_at` (`asyncio.create_task`, `asyncio.to_thread`) sees
    it; a plain thread does not, and a routed bottleneck then raises.

    Attributes:
        visual: (B, V, D) visual features; None without an image.
        mask: (B, V), true for real visual tokens; None where all are real.
        modality: (B, T) int64 of `PADDING`, `TEXT`, `IMAGE`, one code per position of the sequence, of an
            encoder-decoder the encoder's; None if unknown.
        target_modality: (B, T') codes of the decoder's sequence in an encoder-decoder; None if unknown.
        task: name of the batch's task or dataset; None if unknown.
        projected: bottleneck key -> its view of the image, (B, V, R), or (B, V, D) where it does not project.
        kept: bottleneck key -> what a bottleneck keeps from one token to the next while text is generated.
    """

    def __init__(
        self,
        visual: Tensor | None,
        bottlenecks: Mapping[str, ImageReader],
        *,
        mask: Tensor | None = None,
        modality: Tensor | None = None,
        target_modality: Tensor | None = None,
        task: str | None = None,
    ) -> None:
        self.visual, self.mask, self.task = visual, mask, task
        self.modality, self.target_modality = modality, target_modality
        self.projected: dict[str, Tensor] = {}
        self.kept: dict[str, Any] = {}
        self._routed = {
            key: bottleneck
            for key, bottleneck in bottlenecks.items()
            if bottleneck.config.routed and bottleneck.task in (None, task)
        }
        acting = [bottleneck for bottleneck in bottlenecks.values() if bottleneck.task in (None, task)]
        self._leading = sum(bottleneck.leading_tokens for bottleneck in acting)
        self._cached_tokens = 0
        self._versions: tuple[int, ...] = ()
        self._with_gradients = False
        self._used = False
        self._project()

    def begin_forward(self, cached_tokens: int = 0) -> None:
        """Project again where the projections are stale: a new autograd graph is needed, or the weights have changed.

        While text is generated neither is the case, so the image is projected once per call and not once per token.

        Args:
            cached_tokens: positions of the sequence that are in the key-value cache, before those of this pass.
        """
        self._cached_tokens = cached_tokens
        stale = torch.is_grad_enabled() and (self._used or not self._with_gradients)
        if stale or self._versions != self._weight_versions():
            self._project()
        self._used = True

    def with_projected(self, tensors: Sequence[Tensor]) -> ForwardContext:
        """The same facts with other tensors for `projected`, in its order."""
        twin = copy.copy(self)
        twin.projected = dict(zip(self.projected, tensors, strict=True))
        return twin

    def image_for(self, key: str, rows: int) -> tuple[Tensor, Tensor | None]:
        """The projected image and its mask, one row per row of text: (rows, V, R), (rows, V).

        Rows that belong to one image stand next to each other, as beams do.

        Raises:
            ValueError: the number of rows is no multiple of the number of images.
        """
        x_v = self.projected[key]
        if rows % len(x_v):
            raise ValueError(
                f"{key}: {rows} rows of text but {len(x_v)} images; give one image per row, or per group of beams"
            )
        return _repeated(x_v, rows), None if self.mask is None else _repeated(self.mask, rows)

    def modality_for(self, rows: int, tokens: int, stream: Stream = "encoder") -> Tensor | None:
        """(rows, tokens) codes; None if unknown. What follows the known sequence has been generated: it is text, with a
        cache and without. Trained tokens before the sequence (`kind: prompt`) count as text.

        Args:
            rows: of the sequence.
            tokens: its positions that a layer reads. Fewer than the known ones without a cache are the last ones, as
                a head reads them.
            stream: which sequence of an encoder-decoder is meant; other models have one, of the default.
        """
        if self.modality is None:
            return None
        if stream == "decoder":
            if self.target_modality is None or tokens != self.target_modality.shape[1]:
                return self.modality.new_full((rows, tokens), TEXT)
            return _repeated(self.target_modality, rows)
        known, first = self.modality, self._cached_tokens
        if self._leading and (first or tokens >= known.shape[1] + self._leading):
            known = functional.pad(known, (self._leading, 0), value=TEXT)
        if not first:
            first = max(0, known.shape[1] - tokens)
        found = known[:, first : first + tokens]
        generated = tokens - found.shape[1]
        return _repeated(functional.pad(found, (0, generated), value=TEXT) if generated else found, rows)

    def _linear_projections(self) -> dict[str, nn.Linear]:
        found = {key: bottleneck.image_projection for key, bottleneck in self._routed.items()}
        return {key: layer for key, layer in found.items() if layer is not None}

    def _weight_versions(self) -> tuple[int, ...]:
        """Changes when a parameter that projects the image does."""
        parts = [bottleneck.image_projection or bottleneck for bottleneck in self._routed.values()]
        return tuple(parameter._version for part in parts for parameter in part.parameters())

    def _project(self) -> None:
        """Project the image for every bottleneck; the linear projections are one product with stacked weights."""
        self._versions = self._weight_versions()
        self._with_gradients = torch.is_grad_enabled()
        self._used = False
        if self.visual is None:
            return
        layers = self._linear_projections()
        projected = {
            key: bottleneck.project_image(self.visual) for key, bottleneck in self._routed.items() if key not in layers
        }
        if layers:
            weight = torch.cat([layer.weight for layer in layers.values()])  # (ΣR, D)
            stacked = functional.linear(self.visual.to(weight.dtype), weight)  # (B, V, ΣR)
            widths = [layer.out_features for layer in layers.values()]
            for (key, layer), part in zip(layers.items(), torch.split(stacked, widths, dim=-1), strict=True):
                projected[key] = part if layer.bias is None else part + layer.bias.to(part.dtype)
        self.projected = projected


def cached_tokens(given: Mapping[str, Any]) -> int:
    """Tokens that the key-value cache among the arguments of a call holds. transformers 5.24 calls it `cache`, 5.0
    `past_key_values`."""
    caches = [given[key] for key in ("cache", "past_key_values") if given.get(key) is not None]
    return int(caches[0].get_seq_length()) if caches else 0


def _repeated(tensor: Tensor, rows: int) -> Tensor:
    return tensor if len(tensor) == rows else tensor.repeat_interleave(rows // len(tensor), dim=0)


class ContextSlot:
    """Holds the current `ForwardContext` of one model, or None, for every thread and async task by itself.

    A copy of a slot, deep or by pickling, is empty: the copied model has forward passes of its own.
    """

    def __init__(self) -> None:
        self._current: ContextVar[ForwardContext | None] = ContextVar("forward_context", default=None)

    @property
    def current(self) -> ForwardContext | None:
        """What this thread or task has entered."""
        return self._current.get()

    @contextmanager
    def holding(self, context: ForwardContext | None) -> Iterator[None]:
        """Make `context` the current one inside the block."""
        before = self._current.set(context)
        try:
            yield
        finally:
            self._current.reset(before)

    def __reduce__(self) -> tuple[type[ContextSlot], tuple[()]]:
        return type(self), ()
