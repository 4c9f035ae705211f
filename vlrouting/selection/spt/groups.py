"""The matrices and vectors of a tower among which SPT chooses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from vlrouting.bottleneck import Bottleneck, Site, Target, projection_targets
from vlrouting.bottleneck.context import ContextSlot
from vlrouting.bottleneck.families import ROLES, family_of
from vlrouting.bottleneck.projections import projection_widths
from vlrouting.bottleneck.targets import block_of
from vlrouting.config import KINDS, BottleneckConfig

CLASS_TOKENS = ("cls_token", "class_embedding")
"""Of timm and of transformers' CLIP. SPT always trains it."""


@dataclass(frozen=True)
class Tower:
    """A backbone that SPT adapts.

    Attributes:
        name: `language` or `vision`.
        model: the frozen model.
        matrices: name and configuration of the bottleneck for whole matrices; None for none.
        entries: those of the bottleneck of kind `sparse`.
        visual_width: width D of the visual features.
    """

    name: str
    model: nn.Module
    matrices: tuple[str, BottleneckConfig] | None
    entries: tuple[str, BottleneckConfig] | None
    visual_width: int


@dataclass(frozen=True)
class Group:
    """A matrix or a vector: consecutive values of a parameter, whose weight counts as (outputs, inputs).

    Attributes:
        tower: where it is.
        parameter: its name in the tower.
        span: of the flat parameter.
        target: where a bottleneck for the whole matrix goes; None for a vector, or where none does.
        cost: parameters of that bottleneck.
        offset: what a position in the parameter adds to, in `Target.entries`; None where single entries cannot train.
        is_vector: whether it may train as a whole.
    """

    tower: Tower
    parameter: str
    span: range
    target: Target | None = None
    cost: int = 0
    offset: int | None = None
    is_vector: bool = False

    @property
    def key(self) -> str:
        """Of the parameter, in both towers."""
        return f"{self.tower.name}.{self.parameter}"

    @property
    def module(self) -> str:
        """Name of the module that has the parameter."""
        return self.parameter.rpartition(".")[0]

    def __str__(self) -> str:
        return f"{self.key}[{self.span.start}:{self.span.stop}]"


def groups_of(tower: Tower) -> list[Group]:
    """The projections in blocks, slice by slice where one is fused, with their biases, and all other vectors, such as
    those of norms. Left out are embeddings (of patches, positions, words), heads, and class tokens.

    A bias of a fused projection counts slice by slice where single entries can train, else as one.

    Raises:
        ValueError: the bottleneck fits no matrix, or not all that it should.
    """
    structured = _structured(tower) if tower.matrices is not None else {}
    slices = {} if family_of(tower.model) is None else _columns(tower.model, ROLES, None)
    sparse = _sparse_modules(tower)
    found: list[Group] = []
    for name, module in tower.model.named_modules():
        widths = _widths_in_block(name, module)
        if widths is None:
            found += _vectors(tower, name, module)
            continue
        inputs, outputs = widths
        target = structured.get(name)
        parts = slices.get(name) or (range(outputs),)
        whole = (range(outputs),)
        single = sparse is None or name in sparse
        offset = 0 if single and tower.entries is not None else None
        for columns in whole if target is not None and not target.columns else parts:
            span = range(columns.start * inputs, columns.stop * inputs)
            found.append(_matrix(tower, name, span, columns=columns, target=target, offset=offset))
        if getattr(module, "bias", None) is not None:
            offset = None if offset is None else inputs * outputs
            for columns in whole if offset is None else parts:
                found.append(Group(tower, f"{name}.bias", columns, offset=offset, is_vector=True))
    return found


def class_tokens(tower: Tower) -> list[str]:
    """Names of the class token's parameter in the vision tower."""
    names = [name for name, _ in tower.model.named_parameters() if name.rpartition(".")[2] in CLASS_TOKENS]
    return names if tower.name == "vision" else []


def _matrix(
    tower: Tower, name: str, span: range, *, columns: range, target: Target | None, offset: int | None
) -> Group:
    if target is None or (target.columns and not any(_inside(columns, group) for group in target.columns)):
        return Group(tower, f"{name}.weight", span, offset=offset)
    target = replace(target, columns=(columns,)) if target.columns else target
    return Group(tower, f"{name}.weight", span, target, _parameters(tower, target), offset)


def _inside(columns: range, group: range) -> bool:
    return group.start <= columns.start and columns.stop <= group.stop


def _vectors(tower: Tower, name: str, module: nn.Module) -> Iterator[Group]:
    """Of a module that is no projection in a block."""
    if isinstance(module, (nn.Linear, nn.Embedding, nn.modules.conv._ConvNd)) or type(module).__name__ == "Conv1D":
        return
    for own, parameter in module.named_parameters(recurse=False):
        if parameter.dim() == 1 and own not in CLASS_TOKENS:
            yield Group(tower, f"{name}.{own}".lstrip("."), range(len(parameter)), is_vector=True)


def _widths_in_block(name: str, module: nn.Module) -> tuple[int, int] | None:
    """(inputs, outputs) of a projection in a block."""
    try:
        return projection_widths(module) if block_of(name)[0] else None
    except TypeError:
        return None


def _columns(model: nn.Module, targets: Sequence[str], layers: Sequence[int] | None) -> dict[str, tuple[range, ...]]:
    return {target.name: target.columns for target in projection_targets(model, targets, layers)}


def _sparse_modules(tower: Tower) -> set[str] | None:
    """Modules of which single entries may train; None for all."""
    config = None if tower.entries is None else tower.entries[1]
    if config is None or (config.targets is None and config.layers is None):
        return None
    return set(_columns(tower.model, config.targets or ROLES, config.layers))


def _structured(tower: Tower) -> Mapping[str, Target]:
    """Module -> where the bottleneck for whole matrices goes; with columns where it can adapt some of the outputs."""
    assert tower.matrices is not None
    name, config = tower.matrices
    columns = _columns(tower.model, config.targets or ROLES, config.layers)
    kind: type[Bottleneck] = KINDS.load(config.kind)
    found = {
        target.name: target
        for target in kind.find_targets(tower.model, replace(config, targets=list(columns), layers=None))
    }
    lacking = next((module for module in columns if module not in found), None)
    if lacking is not None:
        raise ValueError(
            f"select.method: spt puts a bottleneck on each chosen matrix, which '{name}' of kind {config.kind} "
            f"cannot on {lacking}; choose lora or adapter, with shared: false"
        )
    return {
        module: replace(target, columns=columns[module]) if target.columns else target
        for module, target in found.items()
    }


def _parameters(tower: Tower, target: Target) -> int:
    """Trainable parameters of the bottleneck on a target."""
    assert tower.matrices is not None
    name, config = tower.matrices
    layers = tuple(tower.model.get_submodule(layer) for layer in target.base_layers)
    with torch.device("meta"):
        site = Site(target.name, target, layers, tower.model, tower.visual_width, ContextSlot(), name)
        bottleneck: Bottleneck = KINDS.load(config.kind)(config, site)
    return sum(parameter.numel() for parameter in bottleneck.parameters() if parameter.requires_grad)
