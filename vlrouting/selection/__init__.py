"""Selectors: methods that decide which base layers get the bottlenecks, from a model and batches, before attaching.

Built in are `spt` and `adapeft`. Add your own:

    @dataclass
    class LargestConfig(SelectConfig):
        method: str = "largest"
        count: int = 2

    @register_selector("largest", LargestConfig)
    def largest(problem: SelectionProblem, config: LargestConfig) -> Selection:
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vlrouting.bottleneck import Routed, Target
from vlrouting.config import SELECTORS, BottleneckConfig, SelectConfig


@dataclass(frozen=True)
class SelectionProblem:
    """What a selector decides from. It may compute gradients, but must leave the weights as they are."""

    model: nn.Module
    """The joint model without bottlenecks; its language model is `model.language`."""
    bottlenecks: Mapping[str, BottleneckConfig]
    """Name -> configuration of what will be attached."""
    batches: Iterable[Any]
    """`select.batches` training batches, on the device of the model."""
    loss: Callable[[Any], Tensor]
    """Batch -> scalar training loss of `model`."""
    attached: Callable[[], AbstractContextManager[Mapping[str, Routed]]]
    """Inside `with problem.attached() as towers:` the bottlenecks are on all the targets of their own choice, as if
    nothing were selected, and `model` trains what would train then. Tower -> what `attach` returned for it."""
    folder: Path | None = None
    """Of the run, for what the selector measured; None where there is no run. It may not exist yet."""


@dataclass(frozen=True)
class Selection:
    """The choice; it is stored in the artifact."""

    places: Mapping[str, Sequence[Target | str]]
    """Name of the bottleneck -> targets, or module names of the tower that it adapts."""
    unfreeze: Sequence[str] = field(default_factory=tuple)
    """Names, or patterns, of further parameters of the language model that train, beside `model.unfreeze`."""
    vision_unfreeze: Sequence[str] = field(default_factory=tuple)
    """The same of the vision tower, which trains only where a bottleneck has `tower: vision`."""


Selector = Callable[[SelectionProblem, Any], Selection]


def register_selector(name: str, config: type[SelectConfig]) -> Callable[[Selector], Selector]:
    """Decorator that makes `select.method: name` available, with the keys of `config`.

    Raises:
        ValueError: the name is taken by another function.
    """
    return SELECTORS.registering(name, config)


def select(problem: SelectionProblem, config: SelectConfig) -> Selection:
    """Run the selector of a configuration.

    Raises:
        ValueError: it chose a bottleneck that is not configured, or nothing at all.
    """
    selection: Selection = SELECTORS.load(config.method)(problem, config)
    unknown = selection.places.keys() - problem.bottlenecks.keys()
    if unknown:
        raise ValueError(f"select.method: {config.method} chose targets for '{min(unknown)}', which is no bottleneck")
    if not any(selection.places.values()) and not selection.unfreeze and not selection.vision_unfreeze:
        raise ValueError(f"select.method: {config.method} chose nothing to train")
    return selection


__all__ = ["Selection", "SelectionProblem", "Selector", "register_selector", "select"]
