"""Leaves -> a typed configuration, one leaf at a time, so that a bad one does not hide the next."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vlrouting.config import ExperimentConfig
from vlrouting.experiment import schema
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.errors import Finding, did_you_mean

_NOT_A_TEXT = "YAML reads words such as no and on as true or false, and 2024-01-31 as a date: put a text in quotes"
_Config = TypeVar("_Config")


def build(leaves: Mapping[str, Leaf]) -> tuple[ExperimentConfig, dict[str, Finding]]:
    """The configuration, and by key what is wrong with the leaves that did not fit; those keep their default."""
    return build_as(ExperimentConfig, leaves)


def build_as(root: type[_Config], leaves: Mapping[str, Leaf]) -> tuple[_Config, dict[str, Finding]]:
    """The same for any dataclass whose fields the leaves are."""
    plain: type = root  # mypy does not take a type variable for hashable
    tree = deepcopy(_defaults(plain))
    failed, moot = _choose_variants(tree, leaves, root)
    leaves = {key: leaf for key, leaf in leaves.items() if key not in moot}
    failed |= {
        key: finding for key, leaf in leaves.items() if key not in failed and (finding := _put(tree, leaf, root))
    }
    for key, leaf in leaves.items():
        # `${data.root}/features` shows only now whether it leads anywhere.
        if key not in failed and (finding := _resolve(tree, leaf)):
            failed[key] = finding
    if failed:
        config, more = build_as(root, {key: leaf for key, leaf in leaves.items() if key not in failed})
        return config, {**failed, **more}
    complete: Any = OmegaConf.to_object(tree)
    return complete, {}


@cache
def _defaults(root: type) -> DictConfig:
    """Made once: reading the dataclasses takes most of a point's time."""
    tree: DictConfig = OmegaConf.structured(root)
    return tree


def _choose_variants(tree: DictConfig, leaves: Mapping[str, Leaf], root: type) -> tuple[dict[str, Finding], set[str]]:
    """Put the class of the chosen variant in place of every section whose keys depend on a choice.

    Returns:
        What is wrong, by key: a choice that is not registered, a key that the chosen variant does not have. And the
        keys that cannot be judged, because their section's variant is not known.
    """
    failed: dict[str, Finding] = {}
    moot: set[str] = set()
    sections: dict[str, list[Leaf]] = {}
    for key, leaf in leaves.items():
        parent = key.rpartition(".")[0]
        if parent and schema.section_of(parent, root) in schema.CHOICES:
            sections.setdefault(parent, []).append(leaf)
    for parent, members in sections.items():
        base = schema.section_of(parent, root)
        assert base is not None
        registry, chooser = schema.CHOICES[base]
        choice = leaves.get(f"{parent}.{chooser}") if chooser else None
        default = schema.default_of(base, chooser)
        name = str(choice.value if choice is not None else default if chooser else parent.rpartition(".")[2])
        if name not in registry:
            message = f"'{name}' is not one of {', '.join(registry)}.{did_you_mean(name, registry)}"
            failed[f"{parent}.{chooser}" if chooser else parent] = (choice or members[0]).finding(message)
            moot |= {leaf.key for leaf in members}
            continue
        variant: Any = registry.facts(name)
        known = [field.name for field in dataclasses.fields(variant)]
        for leaf in members:
            key = leaf.key.rpartition(".")[2]
            if key not in known:
                hint = did_you_mean(key, known) or f" Its keys: {', '.join(known)}."
                failed[leaf.key] = leaf.finding(f"{registry.what} '{name}' has no key '{key}'.{hint}")
                moot.add(leaf.key)
        _make_room(tree, f"{parent}.", root)
        OmegaConf.update(tree, parent, variant(**({chooser: name} if chooser else {})), merge=False)
    return failed, moot


def value_at(config: ExperimentConfig, key: str) -> object:
    """The value of a dotted key; None below a named section that is not there."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


def _put(tree: DictConfig, leaf: Leaf, root: type) -> Finding | None:
    hint = schema.hint_of(leaf.key, root)
    got = repr(leaf.value) if isinstance(leaf.value, (str, list, dict)) else schema.spelled(leaf.value)
    expected = f"expected {schema.describe(hint)}, got {got}"
    if _misread(leaf.value, hint):
        return leaf.finding(expected + ("" if hint is bool else f". {_NOT_A_TEXT}"))
    try:
        _make_room(tree, leaf.key, root)
        OmegaConf.update(tree, leaf.key, leaf.value, merge=False)
    except OmegaConfBaseException as error:
        return leaf.finding(_unresolved(leaf, error) if "${" in str(leaf.value) else expected)
    return None


def _make_room(tree: DictConfig, key: str, root: type) -> None:
    """Adds the named section that `data.splits.NAME.questions` stands in: OmegaConf would add an untyped one."""
    parts = key.split(".")
    for depth in range(1, len(parts)):
        parent = ".".join(parts[:depth])
        section = schema.hint_of(parent, root)
        if (
            get_origin(schema.hint_of(parent.rpartition(".")[0], root)) is dict
            and OmegaConf.select(tree, parent) is None
        ):
            OmegaConf.update(tree, parent, section, merge=False)


def _resolve(tree: DictConfig, leaf: Leaf) -> Finding | None:
    try:
        if OmegaConf.is_missing(tree, leaf.key):
            return leaf.finding("is left open (???): give it a value")
        value = OmegaConf.select(tree, leaf.key)
        if OmegaConf.is_config(value):
            OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        return leaf.finding(_unresolved(leaf, error))
    return None


def _unresolved(leaf: Leaf, error: OmegaConfBaseException) -> str:
    return f"{leaf.value!r} cannot be resolved: {str(error).splitlines()[0]}"


def _misread(value: object, hint: Any) -> bool:
    """Whether OmegaConf would let through a value that YAML read differently from what was meant.

    It turns `routing: no` into the text 'False', and any number into a truth value.
    """
    kinds = get_args(hint) if get_origin(hint) is not list and get_args(hint) else (hint,)
    if isinstance(value, list):
        items = [get_args(kind)[0] for kind in kinds if get_origin(kind) is list]
        return any(_misread(entry, items[0]) for entry in value) if items else False
    if bool in kinds:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return str in kinds and isinstance(value, (bool, datetime.date))
