"""The `sweep:` section of one document: the grid, cases, named points, seeds, and what is tuned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yaml.nodes import Node, SequenceNode

from vlrouting.config.names import NAME_RULE, did_you_mean, is_safe_name

if TYPE_CHECKING:
    from vlrouting.experiment.document import Leaf, Reader

PARTS = ("grid", "cases", "points", "seeds", "tune")
"""Of a sweep; each can be null, which drops what the extended files have there."""
MAX_POINTS = "max_points"
MOST_POINTS = 10_000
"""Points and trials of a sweep where `sweep.max_points` does not say otherwise."""
TUNE_KEYS = ("grid", "seed", "max_steps")
Grid = dict[str, "tuple[Leaf, ...]"]
"""Key -> the values along its axis."""


@dataclass
class Tune:
    """The `sweep.tune:` section: one trial of every variant for each combination of the grid."""

    place: Leaf
    """Where the section stands."""
    grid: Grid = field(default_factory=dict)
    seed: Leaf | None = None
    """Of every trial; `tuning.SEED` where it is not given."""
    max_steps: Leaf | None = None
    """Most steps of a trial; those of the point where it is not given, or null."""


@dataclass
class Sweep:
    """The `sweep:` section: every case times every combination of the grid, and the points named one by one, each with
    every seed."""

    grid: Grid = field(default_factory=dict)
    cases: dict[str, dict[str, Leaf]] = field(default_factory=dict)
    points: dict[str, dict[str, Leaf]] = field(default_factory=dict)
    seeds: tuple[Leaf, ...] = ()
    """Leaves of `seed`; none where the section does not give it."""
    tune: Tune | None = None
    max_points: Leaf | None = None
    """How many points and trials are allowed; `MOST_POINTS` where it is not given."""
    dropped: set[str] = field(default_factory=set)
    """Parts that are null or {}: what the extended files sweep there is dropped."""

    def drop(self, part: str) -> None:
        """Forget a part."""
        setattr(self, part, getattr(Sweep(), part))


def read_sweep(reader: Reader, node: Node) -> None:
    """Fill the sweep of the reader's document; errors go to the reader."""
    sweep = reader.document.sweep
    if reader.is_empty(node):
        sweep.dropped |= set(PARTS)
    for name, key_node, value in reader.pairs(node, "sweep"):
        path = f"sweep.{name}"
        if name in PARTS and reader.is_empty(value):
            sweep.dropped.add(name)
        elif name == "grid":
            _read_grid(reader, value, path, sweep.grid)
        elif name == "cases":
            _read_named(reader, value, path, sweep.cases)
        elif name == "points":
            _read_named(reader, value, path, sweep.points)
        elif name == "seeds":
            sweep.seeds = _values(reader, "seed", path, value, "[0, 1, 2]")
        elif name == "tune":
            _read_tune(reader, key_node, value, path)
        elif name == MAX_POINTS:
            sweep.max_points = reader.leaf(path, path, value)
        else:
            _unknown(reader, key_node, path, (*PARTS, MAX_POINTS))


def _read_tune(reader: Reader, key_node: Node, node: Node, path: str) -> None:
    tune = Tune(reader.place(key_node, path))
    reader.document.sweep.tune = tune
    for name, name_node, value in reader.pairs(node, path):
        inside = f"{path}.{name}"
        if name == "grid":
            if reader.is_empty(value):
                reader.report(value, inside, "is empty", "; write keys below it, or take it out")
            else:
                _read_grid(reader, value, inside, tune.grid)
        elif name == "seed":
            tune.seed = reader.leaf("seed", inside, value)
        elif name == "max_steps":
            tune.max_steps = reader.leaf("train.max_steps", inside, value)
        else:
            _unknown(reader, name_node, inside, TUNE_KEYS)


def _unknown(reader: Reader, node: Node, path: str, keys: tuple[str, ...]) -> None:
    section, _, name = path.rpartition(".")
    hint = did_you_mean(name, keys) or f" Keys of {section}: {', '.join(keys)}."
    reader.report(node, path, f"unknown key.{hint}")


def _read_grid(reader: Reader, node: Node, path: str, grid: Grid) -> None:
    if reader.is_mapping(node, path):
        for key, leaf_path, values in reader.leaves(node.value, "", f"{path}."):
            if given := _values(reader, key, leaf_path, values, "[42, 43]"):
                grid[key] = given


def _values(reader: Reader, key: str, path: str, node: Node, example: str) -> tuple[Leaf, ...]:
    """A list of values for a key; empty where there is none, which is reported."""
    if not isinstance(node, SequenceNode):
        reader.report(node, path, f"expected a list of values, such as {example}")
        return ()
    if not node.value:
        reader.report(node, path, "the list of values is empty")
        return ()
    given = (reader.leaf(key, path, value) for value in node.value)
    return tuple(leaf for leaf in given if leaf is not None)


def _read_named(reader: Reader, node: Node, path: str, into: dict[str, dict[str, Leaf]]) -> None:
    for name, key_node, settings in reader.pairs(node, path):
        if not is_safe_name(name):
            reader.report(key_node, f"{path}.{name}", f"names a folder: {NAME_RULE}")
        into.setdefault(name, {})
        if reader.is_mapping(settings, f"{path}.{name}"):
            for key, leaf_path, value in reader.leaves(settings.value, "", f"{path}.{name}."):
                reader.add(into[name], key, leaf_path, value)
