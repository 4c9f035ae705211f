"""Leaves -> a typed configuration, one leaf at a time, so that a bad one does not hide the next."""

from __future__ import annotations

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
from vlrouting.experiment.errors import Finding

_NOT_A_TEXT = "YAML reads words such as no and on as true or false, and 2024-01-31 as a date: put a text in quotes"
_Config = TypeVar("_Config")


def build(leaves: Mapping[str, Leaf]) -> tuple[ExperimentConfig, dict[str, Finding]]:
    """The configuration, and by key what is wrong with the leaves that did not fit; those keep their default."""
    return build_as(ExperimentConfig, leaves)


def build_as(root: type[_Config], leaves: Mapping[str, Leaf]) -> tuple[_Config, dict[str, Finding]]:
    """The same for any dataclass whose fields the leaves are."""
    plain: type = root  # mypy does not take a type variable for hashable
    tree = deepcopy(_defaults(plain))
    failed = {key: finding for key, leaf in leaves.items() if (finding := _put(tree, leaf, root))}
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
