"""Finds the places in a model: from the family table, or from patterns of module names."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from vlrouting.bottleneck.families import FAMILIES, ROLES, Family
from vlrouting.bottleneck.kinds.lora import projection_widths
from vlrouting.config import BottleneckConfig

DEFAULT_TARGETS = ("query", "value")


@dataclass(frozen=True)
class Place:
    """Where one bottleneck goes.

    Attributes:
        name: the module that the bottleneck is named after and registered on.
        hosts: the modules whose input or output it changes.
        columns: LoRA's adapted output columns of the host, one range per target; empty for adapters.
    """

    name: str
    hosts: tuple[str, ...]
    columns: tuple[range, ...] = ()


def block_of(name: str) -> tuple[str, str]:
    """(block, rest) of a module name, split after its first number: `encoder.layer.3`, `attention.self.query`."""
    match = re.match(r"(?:.*?\.)?\d+(?=\.|$)", name)
    return (match[0], name[match.end() + 1 :]) if match else ("", name)


def block_number(name: str) -> int | None:
    """Which block of its stack a module is in; None outside of the blocks."""
    block, _ = block_of(name)
    return int(block.rsplit(".", 1)[-1]) if block else None


def find_places(model: nn.Module, config: BottleneckConfig) -> list[Place]:
    """All places that the configuration asks for, in model order.

    Raises:
        ValueError: a pattern, role or layer matches nothing, or the model's family is not in the table.
    """
    names = [name for name, _ in model.named_modules() if name]
    if config.layers is not None:
        names = _in_layers(names, config.layers)
    if config.kind == "lora":
        places = _lora_places(model, names, config.targets)
    else:
        places = _adapter_places(model, names, config)
    order = {name: i for i, name in enumerate(names)}
    return sorted(places, key=lambda place: order[place.name])


def _in_layers(names: list[str], layers: list[int]) -> list[str]:
    numbers = {block_number(name) for name in names} - {None}
    missing = sorted(set(layers) - numbers)
    if missing:
        raise ValueError(f"layers: the model has no block {missing}; its blocks are 0 to {max(numbers, default=-1)}")  # type: ignore[type-var]
    return [name for name in names if block_number(name) in layers]


def _family(model: nn.Module) -> Family | None:
    return FAMILIES.get(getattr(getattr(model, "config", None), "model_type", ""))


def _known_family(model: nn.Module) -> Family:
    family = _family(model)
    if family is None:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        raise ValueError(
            f"no family table for model type '{kind}' (known: {', '.join(FAMILIES)}); "
            "give targets as patterns of module names, such as '*.q_proj'"
        )
    return family


def _lora_places(model: nn.Module, names: list[str], targets: list[str] | None) -> list[Place]:
    columns: dict[str, list[range]] = defaultdict(list)
    for target in targets or DEFAULT_TARGETS:
        if target in ROLES:
            matched = _role_columns(model, names, target)
        else:
            matched = {name: _all_columns(model, name) for name in _match(target, names)}
        for name, group in matched.items():
            if group not in columns[name]:
                columns[name].append(group)
    # Groups stand in the order of the output's columns, whatever the order of the targets.
    return [Place(name, (name,), tuple(sorted(groups, key=lambda r: r.start))) for name, groups in columns.items()]


def _all_columns(model: nn.Module, name: str) -> range:
    try:
        return range(projection_widths(model.get_submodule(name))[1])
    except TypeError as error:
        raise ValueError(f"targets: {name}: {error}") from None


def _role_columns(model: nn.Module, names: list[str], role: str) -> dict[str, range]:
    """Module name -> the columns of its output that play the role."""
    family = _known_family(model)
    found = {}
    for name in names:
        _, rest = block_of(name)
        if any(fnmatchcase(rest, pattern) for pattern in family.roles[role]):
            columns = _all_columns(model, name)
            if rest in family.fused:
                parts = family.fused[rest]
                width = len(columns) // len(parts)
                columns = range(parts.index(role) * width, (parts.index(role) + 1) * width)
            found[name] = columns
    if not found:
        raise ValueError(f"targets: no module of this model plays the role '{role}'")
    return found


def _adapter_places(model: nn.Module, names: list[str], config: BottleneckConfig) -> list[Place]:
    if config.targets:
        hosts = [name for target in config.targets for name in _match(target, names)]
    else:
        sub_layers = _known_family(model).sub_layers
        wanted = {sub.module if config.position == "post_module" else sub.norm for sub in sub_layers}
        hosts = [name for name in names if block_of(name)[1] in wanted and block_of(name)[0]]
    hosts = [name for name in names if name in set(hosts)]
    if not config.shared:
        return [Place(name, (name,)) for name in hosts]
    blocks: dict[str, list[str]] = defaultdict(list)
    for name in hosts:
        blocks[block_of(name)[0]].append(name)
    if "" in blocks:
        raise ValueError(f"shared: {blocks[''][0]} is in no block, so it cannot share a block's adapter")
    return [Place(block, tuple(members)) for block, members in blocks.items()]


def _match(pattern: str, names: list[str]) -> list[str]:
    """Names that the pattern matches as a whole or at the end.

    Raises:
        ValueError: there is none; the message lists near names.
    """
    found = [name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")]
    if found:
        return found
    endings = {}  # `query` for a pattern `qeury`, `attn.c_proj` for `attn.c_prj`: compare as many parts as were given
    for name in names:
        parts = re.sub(r"\d+", "*", name).split(".")
        endings[".".join(parts[-(pattern.count(".") + 1) :])] = True
    near = difflib.get_close_matches(pattern, endings, n=3, cutoff=0.4)
    hint = f"; near names: {', '.join(near)}" if near else ""
    raise ValueError(f"targets: '{pattern}' matches no module of the model{hint}")
