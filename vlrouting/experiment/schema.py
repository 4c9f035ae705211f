"""The keys that a YAML file may have, read off the dataclasses of `vlrouting.config`.

`root` is the dataclass that the whole file stands for: an experiment, unless said otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from vlrouting.config import (
    KINDS,
    SELECTORS,
    TRANSFORMS,
    BottleneckConfig,
    ExperimentConfig,
    Registry,
    SelectConfig,
    TransformConfig,
)
from vlrouting.config.fit import hints_of, mark_of, without_none
from vlrouting.config.limits import OneOf
from vlrouting.config.names import nearest_names

FILE_KEYS = ("extends", "sweep")
"""Top-level keys of an experiment file that are not part of a point's configuration."""

CHOICES: dict[type, tuple[Registry[Any], str]] = {
    BottleneckConfig: (KINDS, "kind"),
    SelectConfig: (SELECTORS, "method"),
    TransformConfig: (TRANSFORMS, ""),
}
"""Sections whose keys depend on a choice -> registry of their variants, and the key that chooses; empty where the
section's own name does."""


def registry_of(key: str) -> Registry[Any] | None:
    """The registry whose names a key can have; None for a key that chooses nothing by name."""
    parent, _, name = key.rpartition(".")
    section = section_of(parent)
    if section in CHOICES and CHOICES[section][1] == name:
        return CHOICES[section][0]
    choices = mark_of(hint_of(key), OneOf)
    return choices.known if choices is not None and isinstance(choices.known, Registry) else None


def section_of(key: str, root: type = ExperimentConfig) -> type | None:
    """The dataclass of a section; None for what is no section of its own."""
    hint = without_none(hint_of(key, root)) if key else root
    return hint if dataclasses.is_dataclass(hint) and isinstance(hint, type) else None


def is_variant(key: str, root: type = ExperimentConfig) -> bool:
    """Whether the keys of a section depend on a choice."""
    return section_of(key, root) in CHOICES


def is_named(key: str, root: type = ExperimentConfig) -> bool:
    """Whether a section has a name of the user's, as those below `data.splits` have."""
    return get_origin(hint_of(key.rpartition(".")[0], root)) is dict


def decides(key: str, other: str) -> bool:
    """Whether the value of a key decides on that of another one: on its own, and where it chooses a variant, on all of
    its section."""
    section, _, name = key.rpartition(".")
    chooses = is_variant(section) and CHOICES[section_of(section)][1] == name  # type: ignore[index]
    return key == other or (chooses and other.startswith(f"{section}."))


def default_of(section: type, name: str) -> object:
    """The default of a field."""
    field = next((field for field in dataclasses.fields(section) if field.name == name), None)
    if field is None:
        return None
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def variants(section: type) -> tuple[type, ...]:
    """The registered classes of a section whose keys depend on a choice."""
    registry = CHOICES[section][0] if section in CHOICES else ()
    return tuple(registry.facts(name) for name in registry) if isinstance(registry, Registry) else ()


def _fields(section: type) -> dict[str, Any]:
    """Name -> type of every field of a dataclass, or of all its variants: which one it is, is not known yet."""
    return {name: hint for one in (section, *variants(section)) for name, hint in hints_of(one).items()}


def hint_of(key: str, root: type = ExperimentConfig) -> Any | None:
    """The type that the dataclasses give to a dotted key; None when there is no such key."""
    hint: Any = root
    for part in key.split("."):
        hint = without_none(hint)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            hint = _fields(hint).get(part)
        elif get_origin(hint) is dict and part:
            hint = get_args(hint)[1]
        else:
            return None
    return hint


def is_section(hint: Any) -> bool:
    """Whether keys follow below: a dataclass, or named ones such as `data.splits`."""
    hint = without_none(hint)
    return dataclasses.is_dataclass(hint) or get_origin(hint) is dict


def all_keys(root: type = ExperimentConfig) -> tuple[str, ...]:
    """Every dotted key, sections included; below `data.splits` the names are the user's own."""

    def below(section: type, prefix: str) -> list[str]:
        found: list[str] = []
        for name, hint in _fields(section).items():
            found.append(prefix + name)
            if dataclasses.is_dataclass(hint) and isinstance(hint, type):
                found += below(hint, f"{prefix}{name}.")
        return found

    return tuple(below(root, ""))


def unknown_key(key: str, root: type = ExperimentConfig) -> tuple[str, str, tuple[str, ...]]:
    """Message on an unknown key, advice, and the keys that it may stand for: of its name elsewhere, else the nearest.

    When nothing is near, the advice lists the keys that the section has.
    """
    parent, _, name = key.rpartition(".")
    prefix = f"{parent}." if parent else ""
    names: dict[str, list[str]] = {}
    for known in all_keys(root):
        names.setdefault(known.rpartition(".")[2], []).append(known)
    siblings = keys_of(parent, root)
    near = names.get(name.lower()) or [prefix + sibling for sibling in nearest_names(name, siblings)]
    near = near or [known for other in nearest_names(name, names) for known in names[other]]
    if not near and siblings:
        whole = "an experiment" if root is ExperimentConfig else "the file"
        return "unknown key", f". Keys of {parent or whole}: {', '.join(siblings)}.", ()
    near = (near or nearest_names(key, all_keys(root), 3))[:3]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return "unknown key", f".{hint}", tuple(near)


def keys_of(section: str, root: type = ExperimentConfig) -> list[str]:
    """What may stand in a section; empty when it is none, or when its names are the user's own."""
    kind = section_of(section, root)
    return [*_fields(kind), *(FILE_KEYS if kind is ExperimentConfig else [])] if kind is not None else []


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested mappings -> dotted keys."""
    flat: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
