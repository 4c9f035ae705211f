"""A point of a sweep, its name, and a point while it is being checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cache

from vlrouting.config import ExperimentConfig
from vlrouting.config.environment import as_written
from vlrouting.config.fit import spelled
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.typed import Failed, value_at

DEFAULT_POINT = "default"


@dataclass(frozen=True)
class Point:
    """One resolved configuration of an experiment. Points share the sections that do not differ: do not change them."""

    name: str
    """Made of what differs: `lora,routing=add,seed=42`. It names the run directory."""
    config: ExperimentConfig
    differing: dict[str, object]
    """The swept keys and their values."""
    own: Mapping[str, Leaf] = field(default_factory=dict, compare=False, repr=False)
    """What the sweep sets for it, each value with its place."""
    variant: str = ""
    """The name without the seed; of a trial, the variant that it belongs to."""


@dataclass(frozen=True)
class Draft:
    """A point while it is being checked."""

    point: Point
    leaves: Mapping[str, Leaf]
    failed: Failed
    """By key, what is wrong with the leaves that did not fit their type."""


def values_of(
    config: ExperimentConfig, failed: Failed, leaves: Mapping[str, Leaf], keys: Collection[str]
) -> dict[str, object]:
    """The values of some keys; as it was given where it did not fit, and for a section, which `{}` gives."""
    values = {key: leaves[key].value if key in failed else value_at(config, key) for key in keys}
    return {key: leaves[key].value if is_dataclass(value) else value for key, value in values.items()}


def point_name(label: str | None, axes: Mapping[str, object]) -> str:
    """`lora,routing=add,seed=42`: a key's last part, or the whole key where two axes share the last part."""
    shown = _shown_keys(tuple(axes))
    parts = [f"{short}={_file_name(as_written(value))}" for short, value in zip(shown, axes.values(), strict=True)]
    return ",".join(parts if label is None else [label, *parts]) or DEFAULT_POINT


@cache
def _shown_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    last = [key.rpartition(".")[2] for key in keys]
    count = Counter(last)
    return tuple(short if count[short] == 1 else key for key, short in zip(keys, last, strict=True))


def _file_name(value: object) -> str:
    """A value as part of a folder's name, on any file system."""
    if isinstance(value, list):
        return "+".join(_file_name(entry) for entry in value) or "empty"
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", spelled(value)) or "empty"
