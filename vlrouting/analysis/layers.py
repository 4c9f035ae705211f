"""What routing does in every bottleneck of a model, measured while the model runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vlrouting.analysis.measures import effective_rank, linear_cka
from vlrouting.bottleneck import Bottleneck, ForwardContext, Routed
from vlrouting.bottleneck.base import RoutingTrace
from vlrouting.bottleneck.context import TEXT
from vlrouting.bottleneck.targets import block_number
from vlrouting.data.derangement import derangement
from vlrouting.models.joint_model import JointModel


@dataclass(frozen=True)
class LayerMeasures:
    """One bottleneck. What does not apply to it is None. Tokens are those of the text, without padding and without the
    visual prefix; in the vision tower, all tokens of the image."""

    name: str
    """Of the module that it is attached to."""
    bottleneck: str
    """Of its configuration; `bottleneck` where there is one."""
    tower: str
    layer: int | None
    """Number of its block; None outside of the blocks."""
    kind: str
    routing: str
    task: str | None = None
    """The only task that it acts for; None where it acts for all."""
    not_measured: str | None = None
    """Why there are no measures, such as a kind that cannot route; None where there are."""
    tokens: int = 0
    """That were measured, over all examples."""
    width: int | None = None
    """R, which the effective ranks can be at most."""
    relative_size: float | None = None
    """Mean over tokens of ‖update - plain‖, divided by the mean over tokens of ‖plain‖: `plain` is the update that the
    same weights give without routing. 0 without routing; None where all plain updates are zero."""
    image_dependence: float | None = None
    """Mean over tokens of ‖update - swapped‖, divided by the mean over tokens of ‖update‖: `swapped` is the update at
    the same text features with another example's image. 0 where the update does not depend on the image."""
    effective_rank_before: float | None = None
    """Of the text features (tokens, R) of all examples that the routing function reads."""
    effective_rank_after: float | None = None
    """Of what it gives."""
    cka: float | None = None
    """Linear CKA of text and image features in the bottleneck, both means over an example's tokens."""
    cka_by_chance: float | None = None
    """The same when every example has the image features of another one."""


class LayerWatch:
    """Sums over forward passes of a joint model, per bottleneck. Nothing in the model changes.

    Per bottleneck it keeps two (R, R) matrices, and 2 R numbers per example.
    """

    def __init__(self, model: JointModel, seed: int) -> None:
        """
        Args:
            model: in eval mode.
            seed: of the derangement for `cka_by_chance`.
        """
        self.model, self.seed = model, seed
        self._other: ForwardContext | None = None
        self._sums = {(tower, key): _Sums() for tower, routed in _towers(model).items() for key in routed.bottlenecks}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Forward passes inside the block are measured."""
        handles = []
        try:
            for tower, routed in _towers(self.model).items():
                for key, bottleneck in routed.bottlenecks.items():
                    if bottleneck.text_projection is not None:
                        see = partial(self._see, bottleneck, self._sums[tower, key])
                        handles.append(bottleneck.text_projection.register_forward_hook(see))
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def beside(self, visual: Tensor | None, task: str) -> Iterator[None]:
        """The batch of `task` inside the block has other examples' visual features (B, V, D) as well, for
        `image_dependence`."""
        with self.model.routed.look_at(visual, task=task) as context:
            self._other = None if visual is None else context
        try:
            yield
        finally:
            self._other = None

    def measures(self) -> tuple[LayerMeasures, ...]:
        """One entry per bottleneck, those without anything to trace too; the language model first, in model order."""
        return tuple(
            LayerMeasures(
                **_described(routed, key),
                tower=tower,
                **(self._sums[tower, key].measures(self.seed) or {"not_measured": _why_not(bottleneck)}),
            )
            for tower, routed in _towers(self.model).items()
            for key, bottleneck in routed.bottlenecks.items()
        )

    def _see(self, bottleneck: Bottleneck, sums: _Sums, _module: nn.Module, _inputs: Any, projected: Tensor) -> None:
        if not bottleneck.acts:  # another task's, which shares the projection
            return
        context = bottleneck.slot.current
        rows, tokens_each = projected.shape[:2]
        modality = None if context is None else context.modality_for(rows, tokens_each, bottleneck.stream)
        tokens = torch.ones_like(projected[..., 0], dtype=torch.bool) if modality is None else modality == TEXT
        # Bottlenecks are float32: rounding to bfloat16 would look like a small effect.
        with torch.autocast(projected.device.type, enabled=False):
            trace = bottleneck.trace(projected)
            swapped = trace.update
            if bottleneck.config.routed and context is not None and self._other is not None:
                twin = context.with_projected(list(self._other.projected.values()))
                with bottleneck.slot.holding(twin):
                    swapped = bottleneck.trace(projected).update
            sums.add(trace, swapped, tokens)


@dataclass
class _Sums:
    tokens: int = 0
    width: int | None = None
    norms: dict[str, Tensor] = field(default_factory=dict)
    """Over tokens, float64."""
    grams: dict[str, Tensor] = field(default_factory=dict)
    """(R, R), float64."""
    text: list[Tensor] = field(default_factory=list)
    image: list[Tensor] = field(default_factory=list)

    def add(self, trace: RoutingTrace, swapped: Tensor, tokens: Tensor) -> None:
        """Count a batch: `swapped` is (B, T, D'), `tokens` (B, T) bool."""
        self.tokens, self.width = self.tokens + int(tokens.sum()), trace.before.shape[-1]
        vectors = {
            "plain": trace.plain,
            "added": trace.update - trace.plain,
            "update": trace.update,
            "swapped": trace.update - swapped,
        }
        for name, vector in vectors.items():
            self.norms[name] = self.norms.get(name, 0) + vector[tokens].norm(dim=-1).double().sum()
        for name, features in {"before": trace.before, "after": trace.after}.items():
            rows = features[tokens].double()  # (N, R)
            self.grams[name] = self.grams.get(name, 0) + rows.T @ rows
        if trace.image is not None:
            weights = (tokens / tokens.sum(dim=1, keepdim=True).clamp(min=1)).unsqueeze(-1).to(trace.before.dtype)
            self.text.append((trace.before * weights).sum(dim=1).cpu())  # (B, R)
            self.image.append(trace.image.cpu())

    def measures(self, seed: int) -> dict[str, Any]:
        """The fields of `LayerMeasures` that are measured; empty where nothing was."""
        if not self.tokens:
            return {}
        cka = by_chance = None
        if self.image:
            text, image = torch.cat(self.text), torch.cat(self.image)
            cka = linear_cka(text, image)
            by_chance = linear_cka(text, image[derangement(len(image), seed)]) if len(image) > 1 else None
        return {
            "tokens": self.tokens,
            "width": self.width,
            "relative_size": _ratio(self.norms["added"], self.norms["plain"]),
            "image_dependence": _ratio(self.norms["swapped"], self.norms["update"]),
            "effective_rank_before": effective_rank(self.grams["before"]),
            "effective_rank_after": effective_rank(self.grams["after"]),
            "cka": cka,
            "cka_by_chance": by_chance,
        }


def _ratio(part: Tensor, whole: Tensor) -> float | None:
    return float(part / whole) if whole > 0 else None


def _towers(model: JointModel) -> dict[str, Routed]:
    vision = model.vision.routed if model.vision is not None else None
    return {"language": model.routed, **({} if vision is None else {"vision": vision})}


def _why_not(bottleneck: Bottleneck) -> str:
    config = bottleneck.config
    if config.no_routing:
        return f"{config.kind} cannot route: {config.no_routing}"
    if bottleneck.text_projection is None:
        return f"{config.kind} has no `text_projection` and `trace`"
    return "no forward pass went through it"


def _described(routed: Routed, key: str) -> dict[str, Any]:
    """The fields of `LayerMeasures` that say which bottleneck it is."""
    bottleneck = routed.bottlenecks[key]
    return {
        "name": bottleneck.target.name,
        "bottleneck": bottleneck.name,
        "layer": block_number(bottleneck.target.name),
        "kind": bottleneck.config.kind,
        "routing": bottleneck.config.routing_names,
        "task": bottleneck.task,
    }
