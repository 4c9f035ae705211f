"""Finds the base layers that are adapted: by role in the family table, or by patterns of module names."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from vlrouting.bottleneck.families import FAMILIES, ROLES, Family, SubLayer, family_of
from vlrouting.bottleneck.projections import projection_widths


@dataclass(frozen=True)
class Target:
    """What one bottleneck adapts.

    Attributes:
        name: the module that the bottleneck is named after and registered on.
        base_layers: the modules whose input or output it changes.
        columns: adapted output columns of a fused projection, one range per role; empty where all are meant.
        entries: flat positions in the weight (outputs first) of the first base layer, and after its last one those in
            the bias; empty where all of the weight are meant.
    """

    name: str
    base_layers: tuple[str, ...]
    columns: tuple[range, ...] = ()
    entries: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As adapter_config.json has it."""
        columns = [[group.start, group.stop] for group in self.columns]
        stored = {"name": self.name, "base_layers": list(self.base_layers), "columns": columns}
        return {**stored, "entries": list(self.entries)} if self.entries else stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Target:
        """The inverse of `to_json`."""
        columns = tuple(range(start, stop) for start, stop in stored["columns"])
        return cls(stored["name"], tuple(stored["base_layers"]), columns, tuple(stored.get("entries") or ()))


def block_of(name: str) -> tuple[str, str]:
    """(block, rest) of a module name, split after its first number: `encoder.layer.3`, `attention.self.query`."""
    match = re.match(r"(?:.*?\.)?\d+(?=\.|$)", name)
    return (match[0], name[match.end() + 1 :]) if match else ("", name)


def block_number(name: str) -> int | None:
    """The number of a module's block in its stack; None outside of the blocks."""
    block, _ = block_of(name)
    return int(block.rsplit(".", 1)[-1]) if block else None


def projection_targets(model: nn.Module, targets: Sequence[str], layers: Sequence[int] | None) -> list[Target]:
    """One target per projection that a role or a pattern names; roles of a fused projection share one.

    Args:
        model: to search.
        targets: roles, or patterns of module names.
        layers: block numbers; None for all.

    Raises:
        ValueError: a pattern, role or layer matches nothing, or the model's family is not in the table.
    """
    names = module_names(model, layers)
    columns: dict[str, list[range]] = defaultdict(list)
    for target in targets:
        if target in ROLES:
            matched = _role_columns(model, names, target)
        else:
            matched = {name: output_columns(model, name) for name in match(target, names)}
        for name, group in matched.items():
            if group not in columns[name]:
                columns[name].append(group)
    # Groups have the order of the output's columns, whatever the order of the targets.
    return [Target(name, (name,), tuple(sorted(groups, key=lambda r: r.start))) for name, groups in columns.items()]


def sub_layer_targets(
    model: nn.Module,
    targets: Sequence[str] | None,
    layers: Sequence[int] | None,
    *,
    part: str,
    shared: bool,
) -> list[Target]:
    """One target per sub-layer (attention, MLP), or one per block.

    Args:
        model: to search.
        targets: patterns of module names in place of the family's own.
        layers: block numbers; None for all.
        part: what of a sub-layer is adapted: its last `module`, or its `norm`.
        shared: one target per block, with all of its sub-layers.

    Raises:
        ValueError: see `projection_targets`; or a shared target is in no block.
    """
    names = module_names(model, layers)
    if targets:
        found = {name for target in targets for name in match(target, names)}
    else:
        wanted = {getattr(sub_layer, part) for sub_layer in known_family(model).sub_layers}
        found = {name for name in names if block_of(name)[0] and any(fnmatchcase(block_of(name)[1], w) for w in wanted)}
    single = [Target(name, (name,)) for name in names if name in found]
    return _one_per_block(single) if shared else single


def parallel_targets(
    model: nn.Module, layers: Sequence[int] | None, *, targets: Sequence[str] | None = None, shared: bool
) -> list[Target]:
    """One target per sub-layer, or one per block: pairs of the module that reads its input and its last module.

    Args:
        model: to search.
        layers: block numbers; None for all.
        targets: patterns of module names. The last module of a sub-layer stands for the sub-layer, every other one is
            its own entry and end. None for all sub-layers.
        shared: one target per block, with all of its pairs.

    Raises:
        ValueError: the model's family is not in the table and no targets are given, or it has no such block; or a
            pattern matches nothing.
    """
    names = module_names(model, layers)
    sub_layers = known_family(model).sub_layers if targets is None or family_of(model) else ()
    found = _sub_layers(names, sub_layers)
    if targets is not None:
        spans = {target.name: target for target in found}
        wanted = {name for target in targets for name in match(target, names)}
        found = [spans.get(name, Target(name, (name, name))) for name in names if name in wanted]
    return _one_per_block(found) if shared else found


def _sub_layers(names: Sequence[str], sub_layers: Sequence[SubLayer]) -> list[Target]:
    found: list[Target] = []
    for block in dict.fromkeys(block_of(name)[0] for name in names):
        inside = [name for name in names if block and name.startswith(f"{block}.")]
        for sub_layer in sub_layers:
            entry = next((name for name in inside if fnmatchcase(block_of(name)[1], sub_layer.entry)), None)
            last = next((name for name in inside if fnmatchcase(block_of(name)[1], sub_layer.module)), None)
            if entry and last:
                found.append(Target(last, (entry, last)))
    return found


def _one_per_block(targets: Sequence[Target]) -> list[Target]:
    """The targets of a block as one, named after the block.

    Raises:
        ValueError: a target is in no block.
    """
    blocks: dict[str, list[str]] = defaultdict(list)
    for target in targets:
        blocks[block_of(target.name)[0]] += target.base_layers
    if "" in blocks:
        raise ValueError(f"shared: {blocks[''][0]} is in no block, so it cannot share a block's adapter")
    return [Target(block, tuple(members)) for block, members in blocks.items()]


def module_names(model: nn.Module, layers: Sequence[int] | None) -> list[str]:
    """Names of all modules, or of those in some blocks, in model order.

    Raises:
        ValueError: the model has no such block.
    """
    names = [name for name, _ in model.named_modules() if name]
    if layers is None:
        return names
    numbers = {number for name in names if (number := block_number(name)) is not None}
    missing = sorted(set(layers) - numbers)
    if missing:
        raise ValueError(f"layers: the model has no block {missing}; its blocks are 0 to {max(numbers, default=-1)}")
    return [name for name in names if block_number(name) in layers]


def known_family(model: nn.Module) -> Family:
    """The model's entry in the family table.

    Raises:
        ValueError: it has none.
    """
    family = family_of(model)
    if family is None:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        raise ValueError(
            f"no family table for model type '{kind}' (known: {', '.join(FAMILIES)}); "
            "give targets as patterns of module names, such as '*.q_proj'"
        )
    return family


def output_columns(model: nn.Module, name: str) -> range:
    """All output columns of a projection.

    Raises:
        ValueError: the module is no projection.
    """
    try:
        return range(projection_widths(model.get_submodule(name))[1])
    except TypeError as error:
        raise ValueError(f"targets: {name}: {error}") from None


def _role_columns(model: nn.Module, names: list[str], role: str) -> dict[str, range]:
    """Module name -> the columns of its output that have the role."""
    family = known_family(model)
    found = {}
    for name in names:
        _, rest = block_of(name)
        if any(fnmatchcase(rest, pattern) for pattern in family.roles[role]):
            columns = output_columns(model, name)
            roles = next((roles for pattern, roles in family.fused.items() if fnmatchcase(rest, pattern)), None)
            if roles is not None:
                width = len(columns) // len(roles)
                columns = range(roles.index(role) * width, (roles.index(role) + 1) * width)
            found[name] = columns
    if not found:
        raise ValueError(f"targets: no module of this model has the role '{role}'")
    return found


def match(pattern: str, names: Sequence[str], what: str = "targets", thing: str = "module") -> list[str]:
    """Names that the pattern matches as a whole or at the end; of a name that is there, that alone.

    Raises:
        ValueError: there is none; the message lists near names.
    """
    if pattern in names:
        return [pattern]
    found = [name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")]
    if found:
        return found
    endings = {}  # `query` for a pattern `qeury`, `attn.c_proj` for `attn.c_prj`: compare as many parts as were given
    for name in names:
        parts = re.sub(r"\d+", "*", name).split(".")
        endings[".".join(parts[-(pattern.count(".") + 1) :])] = True
    near = difflib.get_close_matches(pattern, endings, n=3, cutoff=0.4)
    hint = f"; near names: {', '.join(near)}" if near else ""
    raise ValueError(f"{what}: '{pattern}' matches no {thing} of the model{hint}")


def require_on_model(model: nn.Module, target: Target) -> None:
    """
    Raises:
        ValueError: the target names a module, or output columns, that the model does not have.
    """
    modules = dict(model.named_modules())
    for layer in (target.name, *target.base_layers):
        if not layer or layer not in modules:
            raise ValueError(f"places: the model has no module '{layer}'")
    if not target.base_layers:
        raise ValueError(f"places: {target.name} has no base layers")
    columns = len(output_columns(model, target.base_layers[0])) if target.columns else 0
    for group in target.columns:
        if not 0 <= group.start < group.stop <= columns:
            raise ValueError(
                f"places: {target.name} has output columns 0 to {columns}, not {group.start} to {group.stop}"
            )
    if target.entries:
        adapted = modules[target.base_layers[0]]
        size = sum(parameter.numel() for parameter in adapted.parameters(recurse=False))
        if not 0 <= min(target.entries) <= max(target.entries) < size:
            raise ValueError(f"places: {target.name} has {size} weights; an entry of its target is outside of them")


def refuse_bypassed(model: nn.Module, name: str) -> None:
    """Some timm attentions (BEiT, EVA with a fused qkv) read the weight of `qkv` without calling the module.

    Raises:
        ValueError: this is one of them: no hook on it would ever run.
    """
    parent, _, child = name.rpartition(".")
    if child == "qkv" and getattr(model.get_submodule(parent), "q_bias", None) is not None:
        reader = type(model.get_submodule(parent)).__name__
        raise ValueError(
            f"{name}: {reader} reads this layer's weight without calling the layer, "
            "so it cannot be adapted; choose other targets, such as attn.proj and mlp.fc1, or a model without q_bias"
        )
