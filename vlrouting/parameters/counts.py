"""The trainable parameters of a joint model by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from vlrouting.bottleneck import Bottleneck
from vlrouting.bottleneck.table import places_of_blocks
from vlrouting.models.joint_model import JointModel

NORMS, BIASES, OTHER = "norms", "biases", "other unfrozen"


@dataclass(frozen=True)
class ParameterCounts:
    """Every trainable parameter once, in the part that it belongs to.

    Attributes:
        bottlenecks: `adapter model.encoder.layers.*.fc2` (configuration or kind, place; `vision:` before it in the
            vision tower) -> number. What several places share counts with the first of them.
        unfrozen: `norms`, `biases`, `other unfrozen` of the backbones -> number. The bias of a norm is a norm's where
            the norm's weight trains too.
        others: `projector`, `head` and whatever else an architecture trains -> number.
        total: all parameters of the joint model, as run.json counts them: with the vision encoder where it is a part of
            the model, without it where its features are computed once.
    """

    bottlenecks: dict[str, int]
    unfrozen: dict[str, int]
    others: dict[str, int]
    total: int

    @property
    def trainable(self) -> int:
        """Sum of all parts."""
        return sum(sum(part.values()) for part in (self.bottlenecks, self.unfrozen, self.others))

    @property
    def percent(self) -> float:
        """100 · trainable / total."""
        return 100 * self.trainable / max(1, self.total)


def count_parameters(model: JointModel) -> ParameterCounts:
    """The counts of a joint model with its bottlenecks, on any device, `meta` included."""
    bottlenecks: dict[str, int] = {}
    unfrozen: dict[str, int] = {}
    others: dict[str, int] = {}
    counted: set[nn.Parameter] = set()
    for place, parameters in _bottleneck_parameters(model):
        _add(bottlenecks, place, parameters, counted)
    owners = {id(p): owner for owner in model.modules() for p in owner.parameters(recurse=False)}
    for name, parameter in model.named_parameters():
        first = name.partition(".")[0]
        if first in ("language", "vision"):
            _add(unfrozen, _part(name, owners[id(parameter)]), [parameter], counted)
        else:
            _add(others, first, [parameter], counted)
    return ParameterCounts(bottlenecks, unfrozen, others, model.total_parameters)


def _bottleneck_parameters(model: JointModel) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """Place of a bottleneck -> its parameters, in model order; those of both towers."""
    for name, module in model.named_modules():
        if isinstance(module, Bottleneck):
            tower = "vision:" if name.startswith("vision.") else ""
            place = places_of_blocks(module.target.name)
            yield f"{tower}{module.config.kind} {place}", list(module.parameters())


def _part(name: str, owner: nn.Module) -> str:
    weight = getattr(owner, "weight", None)
    if type(owner).__name__.endswith("Norm") and weight is not None and weight.requires_grad:
        return NORMS
    return BIASES if name.endswith(".bias") else OTHER


def _add(parts: dict[str, int], name: str, parameters: list[nn.Parameter], counted: set[nn.Parameter]) -> None:
    new = [parameter for parameter in parameters if parameter.requires_grad and parameter not in counted]
    counted.update(new)
    if new:
        parts[name] = parts.get(name, 0) + sum(parameter.numel() for parameter in new)
