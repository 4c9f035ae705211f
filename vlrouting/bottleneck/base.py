"""The interface of a kind of bottleneck."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.context import ContextSlot
from vlrouting.bottleneck.families import Stream, stream_of
from vlrouting.bottleneck.targets import Target
from vlrouting.config import KINDS, BottleneckConfig
from vlrouting.config.experiment import SINGLE

Kind = TypeVar("Kind", bound="type[Bottleneck]")
Module = TypeVar("Module", bound=nn.Module)


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
    name: str = SINGLE
    """Of the configuration."""
    tasks: tuple[str, ...] = ()
    """All tasks, where a configuration `needs_tasks`."""
    task: str | None = None
    """The only task of the bottleneck, with `per_task`; None where it acts in every forward pass."""
    over_tasks: dict[str, nn.Module] = field(default_factory=dict)
    """For `shared`: what the bottlenecks of all tasks on this target have in common."""
    over_targets: dict[str, nn.Module] = field(default_factory=dict)
    """For `shared`: what the bottlenecks of this configuration on all targets, and of all tasks, have in common."""


def shared(among: dict[str, nn.Module], name: str, make: Callable[[], Module]) -> Module:
    """The module of this name that several bottlenecks share. The first one that asks makes it. Each of them keeps it
    as a submodule; it counts, trains and is saved once.

    Args:
        among: `Site.over_tasks` or `Site.over_targets`.
        name: of the module.
        make: builds it.
    """
    if name not in among:
        among[name] = make()
    return among[name]  # type: ignore[return-value]


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
        name: of its configuration.
        target: what it adapts.
        task: the only task that it acts for; None where it acts for all.
        config: the bottleneck's configuration.
        stream: which sequence of an encoder-decoder it reads; `encoder` in other models.
        leading_tokens: trained tokens that it puts before the sequence.
        image_projection: the Linear that projects the image; None where there is none.
        text_projection: the module whose output `trace` takes; None for a kind in which nothing can be routed.
    """

    leading_tokens: int = 0
    image_projection: nn.Linear | None = None
    text_projection: nn.Module | None = None

    def __init__(self, config: BottleneckConfig, site: Site) -> None:
        super().__init__()
        self.config, self.key, self.slot = config, site.key, site.slot
        self.name, self.target, self.task = site.name, site.target, site.task
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

    def uninstall(self, base_layers: Sequence[nn.Module]) -> None:
        """Undo what `install` changed beside hooks, whose handles are removed anyway. A second call changes nothing."""

    @property
    def acts(self) -> bool:
        """Whether it takes part in the current forward pass: one of a single task does so in those of its task.

        Raises:
            RuntimeError: it is of a single task, and the model runs outside of `look_at`.
        """
        if self.task is None:
            return True
        if self.slot.current is None:
            raise RuntimeError(
                f"{self.key}: with a bottleneck per task the model has to know the task; "
                f"run it inside `with routed.look_at(visual, task='{self.task}'):`, in the same thread"
            )
        return self.slot.current.task == self.task

    def project_image(self, visual: Tensor) -> Tensor:
        """(B, V, D) -> what the bottleneck routes by. Not called where there is an `image_projection`."""
        return visual

    def trace(self, projected: Tensor) -> RoutingTrace:
        """What routing does, by the image of the current forward pass. Changes nothing.

        Args:
            projected: (B, T, R), the output of `text_projection`.
        """
        raise NotImplementedError

    def auxiliary_loss(self) -> Tensor | None:
        """What it adds to the loss of the training step whose forward pass has just run: a scalar, whose mean over the
        devices and micro-batches of an optimizer step counts. None where there is nothing to add, so also in a second
        call after one pass. A part that several bottlenecks share is added by one of them."""
        return None

    def merge_into(self, base_layer: nn.Module) -> None:
        """Fold the bottleneck into the weight of its base layer. `check_mergeable` says whether that is possible."""
        raise NotImplementedError

    def check_mergeable(self) -> None:
        """
        Raises:
            ValueError: no weight of the base layer can stand for this bottleneck; the text says why.
        """
        if self.task is not None:
            raise ValueError(f"{self.key}: there is a bottleneck per task, and one weight cannot stand for all of them")
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
