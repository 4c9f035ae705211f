"""Selectors: methods that decide which base layers are adapted, before anything is attached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlrouting.config.limits import Count
from vlrouting.config.problem import Problem
from vlrouting.config.registry import Registry

if TYPE_CHECKING:
    from vlrouting.config.bottleneck import BottleneckConfig
    from vlrouting.config.training import ModelConfig


@dataclass
class SelectConfig:
    """How the targets are selected. Each selector has a subclass with its own keys.

    `SelectConfig(method="spt", budget=400_000)` gives a config of that selector's own class.

    Raises:
        ValueError: no such selector, or a key that it does not have; the text has a did-you-mean.
    """

    method: str = ""
    """A registered selector."""
    batches: Count = 8
    """Training batches that the selector may look at."""

    def __new__(cls, *args: Any, **keys: Any) -> SelectConfig:
        if cls is SelectConfig and (args or keys):
            method = args[0] if args else keys.get("method", "")
            cls = SELECTORS.choose(method, keys)
        return super().__new__(cls)

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return []

    def problems_with(self, bottlenecks: Mapping[str, BottleneckConfig], model: ModelConfig) -> list[Problem]:
        """What of other sections it cannot go with, keys of the experiment.

        Args:
            bottlenecks: by key: `bottleneck`, or `bottlenecks.NAME`.
            model: the section.
        """
        return []

    @property
    def trainable(self) -> int | None:
        """About how many parameters of the towers train by its choice; None where it is told no number."""
        return None

    def memory(self, weights: int) -> int:
        """Bytes that it takes on a device beside the model, before the training.

        Args:
            weights: parameters of the towers that bottlenecks are configured for.
        """
        return 0


SELECTORS: Registry[type[SelectConfig]] = Registry("selector", {})
"""`select.method` -> config dataclass and selector (`vlrouting.selection`)."""
