"""The interface of a kind of bottleneck."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.context import ContextSlot
from vlrouting.bottleneck.families import Stream, stream_of
from vlrouting.bottleneck.targets import Target
from vlrouting.config import KINDS, BottleneckConfig

Kind = TypeVar("Kind", bound="type[Bottleneck]")


@dataclass(frozen=True)
class Site:
    """Everything that a bottleneck is built from."""

    key: str
    """Key of the bottleneck in `Routed.bottlenecks`."""
    target: Target
    base_layers: tuple[nn.Module, ...]
    """The modules of `target.base_layers`."""
    model: nn.Module
    """The frozen model that they belong to."""
    visual_width: int
    """Width D of the visual features."""
    slot: ContextSlot


@dataclass(frozen=True)
class RoutingTrace:
    """What routing does to one batch of text features in one bottleneck, beside what would happen without it.

    T counts every position of the sequence, R is the width that is routed, D' that of the update: what the
    up-projection gives, without the bottleneck's scale, the residual and the base layer's output.
    """

    before: Tensor
    """(B, T, R): the text features that the routing function reads."""
    after: Tensor
    """(B, T, R): what it gives; `before` itself without routing."""
    plain: Tensor
    """(B, T, D'): the update that the same weights give without routing."""
    update: Tensor
    """(B, T, D'): the update that they give."""
    image: Tensor | None
    """(B, R): mean over the visual tokens that the routing function reads, or would read; None without an image."""


class Bottleneck(nn.Module, ABC):
    """A trained module on one target of a frozen model. Each kind is a subclass.

    Attributes:
        key: its key in `Routed.bottlenecks`.
        config: the bottleneck's configuration.
        stream: which sequence of an encoder-decoder it reads; `encoder` in other models.
        image_projection: the Linear that projects the image; None where there is none.
        text_projection: the module whose output `trace` takes; None for a kind in which nothing can be routed.
    """

    image_projection: nn.Linear | None = None
    text_projection: nn.Module | None = None

    def __init__(self, config: BottleneckConfig, site: Site) -> None:
        super().__init__()
        self.config, self.key, self.slot = config, site.key, site.slot
        self.stream: Stream = stream_of(site.model, site.target.name)

    @classmethod
    @abstractmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """Which targets of the model get a bottleneck, in any order.

        Raises:
            ValueError: a role, pattern or layer of the configuration matches nothing.
        """

    @abstractmethod
    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Register the hooks on the base layers that make the bottleneck take effect."""

    def project_image(self, visual: Tensor) -> Tensor:
        """(B, V, D) -> what the bottleneck routes by. Not called where there is an `image_projection`."""
        return visual

    def trace(self, projected: Tensor) -> RoutingTrace:
        """What routing does, by the image of the current forward pass. Changes nothing.

        Args:
            projected: (B, T, R), the output of `text_projection`.
        """
        raise NotImplementedError

    def merge_into(self, base_layer: nn.Module) -> None:
        """Fold the bottleneck into the weight of its base layer. `check_mergeable` says whether that is possible."""
        raise NotImplementedError

    def check_mergeable(self) -> None:
        """
        Raises:
            ValueError: no weight of the base layer can stand for this bottleneck; the text says why.
        """
        if self.config.routed:
            raise ValueError(
                f"{self.key}: routing '{self.config.routing}' depends on the image and cannot be merged; "
                "only routing: none can"
            )
        if type(self).merge_into is Bottleneck.merge_into:
            raise ValueError(f"{self.key}: a bottleneck of kind '{self.config.kind}' cannot be merged into a weight")


def register_kind(name: str, config: type[BottleneckConfig]) -> Callable[[Kind], Kind]:
    """Class decorator that makes `bottleneck.kind: name` available, with the keys of `config`.

    Raises:
        ValueError: the name is taken by another class.
    """
    return KINDS.registering(name, config)
