"""Leaves -> a typed configuration, one leaf at a time, so that a bad one does not hide the next."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_origin

from vlrouting.config import ExperimentConfig
from vlrouting.config.fit import hints_of, objection, options, spelled, unwrapped, without_none
from vlrouting.config.names import no_such_key
from vlrouting.config.problem import Problem, one_of
from vlrouting.experiment import schema
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.errors import Diagnostic
from vlrouting.experiment.references import References, Unresolved, has_references

_NOT_A_TEXT = "YAML reads words such as no and on as true or false, and 2024-01-31 as a date: put a text in quotes"
_OPEN = "???"
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?\.?(inf|nan)", re.IGNORECASE)
_ABSENT = object()
_Config = TypeVar("_Config")
Failed = dict[str, Diagnostic]
"""By key, what is wrong with the leaves that do not fit; those keep their default."""


class Builder(Generic[_Config]):
    """Builds configurations out of leaves. Those of a sweep share every top-level section that they have in common,
    which is built and checked once."""

    def __init__(self, root: type[_Config], resolve: bool = True) -> None:
        """
        Args:
            root: the dataclass whose fields the leaves are.
            resolve: follow `${…}`; else it is text like any other.
        """
        self.root, self.resolve = root, resolve
        self._built: dict[tuple[int, ...], tuple[list[Leaf], Any, Failed]] = {}

    def build(self, leaves: Mapping[str, Leaf]) -> tuple[_Config, Failed]:
        """The configuration, and what is wrong with the leaves."""
        referring = {k: leaf for k, leaf in leaves.items() if has_references(leaf.value)} if self.resolve else {}
        config, failed = self._assemble([leaf for key, leaf in leaves.items() if key not in referring])
        if not referring:
            return config, failed
        unresolved: Failed = {}
        resolved: dict[str, Leaf] = {}
        follow = References(
            {key: leaf.value for key, leaf in referring.items()}, lambda key: self._value(config, failed, key)
        )
        for key, leaf in referring.items():
            try:
                resolved[key] = leaf.with_value(follow.resolved(key))
            except Unresolved as error:
                unresolved[key] = leaf.diagnostic(f"{leaf.value!r} cannot be resolved: {error}")
        config, failed = self._assemble(
            [resolved.get(key, leaf) for key, leaf in leaves.items() if key not in unresolved]
        )
        return config, {**failed, **unresolved}

    def _value(self, config: _Config, failed: Failed, key: str) -> object:
        """What a reference to another key gives."""
        if key in failed:
            raise Unresolved(f"{key} has an error of its own")
        value = value_at(config, key, _ABSENT)
        if value is _ABSENT:
            raise Unresolved(f"{key}: {''.join(schema.unknown_key(key, self.root)[:2])}")
        if is_dataclass(value) or isinstance(value, dict):
            raise Unresolved(f"{key} is a section")
        return value

    def _assemble(self, leaves: Iterable[Leaf]) -> tuple[_Config, Failed]:
        parts: dict[str, list[Leaf]] = {}
        for leaf in leaves:
            parts.setdefault(leaf.key.partition(".")[0], []).append(leaf)
        values: dict[str, Any] = {}
        failed: Failed = {}
        for name, members in parts.items():
            identity = tuple(map(id, members))
            if identity not in self._built:  # the leaves are kept, so that their ids stay theirs
                self._built[identity] = (members, *_Section(self.root, "").field(name, members))
            _, value, wrong = self._built[identity]
            failed |= wrong
            if value is not _ABSENT:
                values[name] = value
        return self.root(**values), failed


def build(leaves: Mapping[str, Leaf]) -> tuple[ExperimentConfig, Failed]:
    """The configuration of an experiment, and what is wrong with the leaves."""
    return Builder(ExperimentConfig).build(leaves)


def value_at(config: Any, key: str, absent: object = None) -> Any:
    """The value of a dotted key; `absent` below a named section, or in a variant, that does not have it."""
    value = config
    for part in key.split("."):
        value = value.get(part, absent) if isinstance(value, dict) else getattr(value, part, absent)
    return value


class _Section:
    """A section that is put together: a dataclass, of the variant that its leaves choose where there are several."""

    def __init__(self, section: type, path: str) -> None:
        self.type, self.path = section, path
        self.failed: Failed = {}

    def made(self, leaves: list[Leaf]) -> tuple[Any, Failed]:
        """The object out of the leaves below it; absent where its variant is not known."""
        if self.type in schema.CHOICES:
            variant, leaves = self._choose(leaves)
            if variant is None:
                return _ABSENT, self.failed
            self.type = variant
        parts: dict[str, list[Leaf]] = {}
        for leaf in leaves:
            if leaf.key != self.path:  # `transforms.NAME: {}` sets nothing
                parts.setdefault(self._inside(leaf.key), []).append(leaf)
        values = {}
        for name, members in parts.items():
            value, wrong = self.field(name, members)
            self.failed |= wrong
            if value is not _ABSENT:
                values[name] = value
        return self.type(**values), self.failed

    def _inside(self, key: str) -> str:
        return key[len(self.path) + 1 if self.path else 0 :].partition(".")[0]

    def field(self, name: str, leaves: list[Leaf]) -> tuple[Any, Failed]:
        """The value of one field out of the leaves at and below it; absent for its default."""
        path = f"{self.path}.{name}" if self.path else name
        hint = hints_of(self.type)[name]
        if not schema.is_section(hint):
            return _fitted(leaves[-1], hint)
        below = [leaf for leaf in leaves if leaf.key != path]
        if not below and not (leaves[-1].value == {} and NoneType in options(hint)):
            # Null takes away what was given before; so does {} where the names are the user's own.
            return (None if NoneType in options(hint) else _ABSENT), {}
        if get_origin(without_none(hint)) is not dict:
            return _Section(without_none(hint), path).made(leaves)
        return _named(get_args(without_none(hint))[1], path, below)

    def _choose(self, leaves: list[Leaf]) -> tuple[Any | None, list[Leaf]]:
        """The variant, and the leaves that are its own: what an extended file gives for its variant has no effect
        where a later file chooses another."""
        registry, chooser = schema.CHOICES[self.type]
        given = {leaf.key.removeprefix(f"{self.path}."): leaf for leaf in leaves if leaf.key != self.path}
        name = self.path.rpartition(".")[2]
        if chooser:
            name = given[chooser].value if chooser in given else schema.default_of(self.type, chooser)  # type: ignore[assignment]
        for leaf in given.values():
            if schema.hint_of(leaf.key) is None:
                self.failed[leaf.key] = leaf.diagnostic(*schema.unknown_key(leaf.key))
        if not isinstance(name, str) or name not in registry:
            (problem,) = one_of("", spelled(name), registry.names())
            if name == "":
                problem = Problem((), f"the section needs a {chooser}: one of {', '.join(registry)}")
            at = given.get(chooser, leaves[0])
            self.failed[f"{self.path}.{chooser}".rstrip(".")] = at.diagnostic(problem.message, problem.advice)
            return None, []
        variant = registry.facts(name)
        known = hints_of(variant)
        own = [leaf for key, leaf in given.items() if key.partition(".")[0] in known and leaf.key not in self.failed]
        for key, leaf in given.items():
            replaced = chooser in given and leaf.layer < given[chooser].layer
            if leaf not in own and leaf.key not in self.failed and not replaced:
                message = no_such_key(f"{registry.what} '{name}'", key, known)
                self.failed[leaf.key] = leaf.diagnostic(*message)
        return variant, own


def _named(inner: Any, path: str, leaves: list[Leaf]) -> tuple[dict[str, Any], Failed]:
    """The entries of a section such as `data.splits`, whose names are the user's own."""
    parts: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        parts.setdefault(leaf.key[len(path) + 1 :].partition(".")[0], []).append(leaf)
    values: dict[str, Any] = {}
    failed: Failed = {}
    for name, members in parts.items():
        if is_dataclass(inner):
            value, wrong = _Section(inner, f"{path}.{name}").made(members)  # type: ignore[arg-type]
        else:
            value, wrong = _fitted(members[-1], inner)
        failed |= wrong
        if value is not _ABSENT:
            values[name] = value
    return values, failed


def _fitted(leaf: Leaf, hint: Any) -> tuple[Any, Failed]:
    """The value of a leaf as its type has it, or what is wrong with it."""
    if leaf.value == _OPEN:
        return _ABSENT, {leaf.key: leaf.diagnostic(f"is left open ({_OPEN}): give it a value")}
    value = converted(leaf.value, hint)
    problem = objection(value, hint)
    if problem is None:
        return value, {}
    hint_on_yaml = f". {_NOT_A_TEXT}" if _is_misread(leaf.value, hint) else ""
    return _ABSENT, {leaf.key: leaf.diagnostic(problem.message + hint_on_yaml, problem.advice)}


def converted(value: Any, hint: Any) -> Any:
    """A value as one of a type, where YAML has another form of it: 3e-4 is a text there, and 8 a whole number."""
    bases = [unwrapped(option)[0] for option in options(hint)]
    if isinstance(value, list):
        inner = next((get_args(base)[0] for base in bases if get_origin(base) is list), None)
        return value if inner is None else [converted(entry, inner) for entry in value]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(value, str) and str not in bases:
        if int in bases and _WHOLE.fullmatch(value):
            return int(value)
        if float in bases and _NUMBER.fullmatch(value):
            return float(value.replace(".inf", "inf").replace(".nan", "nan"))
    if is_number and float in bases and int not in bases and abs(value) < 1e300:
        return float(value)
    return str(value) if is_number and str in bases and not {int, float} & set(bases) and abs(value) < 1e300 else value


def _is_misread(value: object, hint: Any) -> bool:
    """Whether YAML read a word or a date as something else than the text that was meant."""
    for option in options(hint):
        base = unwrapped(option)[0]
        if get_origin(base) is list and isinstance(value, list):
            return any(_is_misread(entry, get_args(base)[0]) for entry in value)
        if base is str:
            return isinstance(value, (bool, datetime.date))
    return False
