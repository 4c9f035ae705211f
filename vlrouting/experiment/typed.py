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

from vlrouting.config import ExperimentConfig, Problem
from vlrouting.config.names import no_such_key
from vlrouting.config.problem import one_of
from vlrouting.experiment import schema
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.errors import Diagnostic

_NOT_A_TEXT = "YAML reads words such as no and on as true or false, and 2024-01-31 as a date: put a text in quotes"
_Config = TypeVar("_Config")


def build(leaves: Mapping[str, Leaf]) -> tuple[ExperimentConfig, dict[str, Diagnostic]]:
    """The configuration, and by key what is wrong with the leaves that did not fit; those keep their default."""
    return build_as(ExperimentConfig, leaves)


def build_as(root: type[_Config], leaves: Mapping[str, Leaf]) -> tuple[_Config, dict[str, Diagnostic]]:
    """The same for any dataclass whose fields the leaves are."""
    plain: type = root  # mypy does not take a type variable for hashable
    tree = deepcopy(_defaults(plain))
    failed, left_out = _choose_variants(tree, leaves, root)
    leaves = {key: leaf for key, leaf in leaves.items() if key not in failed.keys() | left_out}
    wrong = {key: diagnostic for key, leaf in leaves.items() if (diagnostic := _put(tree, leaf, root))}
    for key, leaf in leaves.items():
        # `${data.root}/features` shows only now whether it leads anywhere.
        if key not in wrong and (diagnostic := _resolve(tree, leaf)):
            wrong[key] = diagnostic
    if wrong:
        config, more = build_as(root, {key: leaf for key, leaf in leaves.items() if key not in wrong})
        return config, {**failed, **wrong, **more}
    complete: Any = OmegaConf.to_object(tree)
    return complete, failed


@cache
def _defaults(root: type) -> DictConfig:
    """Made once: reading the dataclasses takes most of a point's time."""
    tree: DictConfig = OmegaConf.structured(root)
    return tree


def _choose_variants(
    tree: DictConfig, leaves: Mapping[str, Leaf], root: type
) -> tuple[dict[str, Diagnostic], set[str]]:
    """Put the class of the chosen variant in place of every section whose keys depend on a choice.

    Returns:
        What is wrong, by key: a choice that is not registered, a key that the chosen variant does not have. And the
        keys to leave out: their section's variant is not known, or is another than the file meant that gives them.
    """
    failed: dict[str, Diagnostic] = {}
    left_out: set[str] = set()
    sections: dict[str, list[Leaf]] = {}
    for key, leaf in leaves.items():
        section = next((part for part in (key, key.rpartition(".")[0]) if schema.is_variant(part, root)), None)
        if section is not None:
            sections.setdefault(section, []).append(leaf)
    for section, members in sections.items():
        variant, wrong, replaced = _variant(section, members, root)
        failed |= wrong
        left_out |= replaced
        if variant is None:
            left_out |= {leaf.key for leaf in members}
        else:
            _make_room(tree, f"{section}.", root)
            OmegaConf.update(tree, section, variant, merge=False)
    return failed, left_out


def _variant(section: str, members: list[Leaf], root: type) -> tuple[Any | None, dict[str, Diagnostic], set[str]]:
    """A section's default configuration, of the variant that its leaves choose; and what is wrong with their keys.

    Third, keys that an extended file gives for its own variant, in place of which a later file chooses another: they
    have no effect.
    """
    base = schema.section_of(section, root)
    assert base is not None
    registry, chooser = schema.CHOICES[base]
    given = {leaf.key.removeprefix(f"{section}."): leaf for leaf in members if leaf.key != section}
    wrong = {
        leaf.key: leaf.diagnostic(*schema.unknown_key(leaf.key, root))
        for leaf in given.values()
        if schema.hint_of(leaf.key, root) is None
    }
    default = schema.default_of(base, chooser) if chooser else section.rpartition(".")[2]
    name = given[chooser].value if chooser in given else default
    if not isinstance(name, str) or name not in registry:
        (problem,) = one_of("", schema.spelled(name), registry.names())
        if name == "":
            problem = Problem((), f"the section needs a {chooser}: one of {', '.join(registry)}")
        at = given.get(chooser, members[0])
        wrong[f"{section}.{chooser}".rstrip(".")] = at.diagnostic(problem.message, problem.advice)
        return None, wrong, set()
    variant: Any = registry.facts(name)
    known = [field.name for field in dataclasses.fields(variant)]
    replaced: set[str] = set()
    for key, leaf in given.items():
        if key in known or leaf.key in wrong:
            continue
        if chooser in given and leaf.layer < given[chooser].layer:
            replaced.add(leaf.key)
        else:
            wrong[leaf.key] = leaf.diagnostic(*no_such_key(f"{registry.what} '{name}'", key, known))
    return variant(**({chooser: name} if chooser else {})), wrong, replaced


def value_at(config: ExperimentConfig, key: str) -> object:
    """The value of a dotted key; None below a named section that is not there."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


def _put(tree: DictConfig, leaf: Leaf, root: type) -> Diagnostic | None:
    hint = schema.hint_of(leaf.key, root)
    if schema.is_section(hint):  # a named one that sets nothing
        _make_room(tree, f"{leaf.key}.", root)
        return None
    got = repr(leaf.value) if isinstance(leaf.value, (str, list, dict)) else schema.spelled(leaf.value)
    expected = f"expected {schema.describe(hint)}, got {got}"
    if _misread(leaf.value, hint):
        return leaf.diagnostic(expected + ("" if hint is bool else f". {_NOT_A_TEXT}"))
    try:
        _make_room(tree, leaf.key, root)
        OmegaConf.update(tree, leaf.key, leaf.value, merge=False)
    except OmegaConfBaseException as error:
        return leaf.diagnostic(_unresolved(leaf, error) if "${" in str(leaf.value) else expected)
    return None


def _make_room(tree: DictConfig, key: str, root: type) -> None:
    """Adds the named section that `data.splits.NAME.questions` stands in: OmegaConf would add an untyped one."""
    parts = key.split(".")
    for depth in range(1, len(parts)):
        section = ".".join(parts[:depth])
        if schema.is_named(section, root) and OmegaConf.select(tree, section) is None:
            OmegaConf.update(tree, section, schema.section_of(section, root), merge=False)


def _resolve(tree: DictConfig, leaf: Leaf) -> Diagnostic | None:
    try:
        if OmegaConf.is_missing(tree, leaf.key):
            return leaf.diagnostic("is left open (???): give it a value")
        value = OmegaConf.select(tree, leaf.key)
        if OmegaConf.is_config(value):
            OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        return leaf.diagnostic(_unresolved(leaf, error))
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
