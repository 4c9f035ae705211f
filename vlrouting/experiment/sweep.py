"""A sweep taken apart into points, and their names."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from vlrouting.config import ExperimentConfig
from vlrouting.config.environment import as_written
from vlrouting.config.fit import spelled
from vlrouting.config.names import listed
from vlrouting.experiment.compose import Composition, laid_over
from vlrouting.experiment.document import COMMAND_LINE, MOST_POINTS, Leaf
from vlrouting.experiment.errors import Diagnostic
from vlrouting.experiment.typed import Builder, Failed, value_at

DEFAULT_POINT = "default"
LONGEST_NAME = 200
"""Characters of a point's name; file systems allow 255 bytes, and temporary files add to it."""


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


@dataclass(frozen=True)
class Draft:
    """A point while it is being checked."""

    point: Point
    leaves: Mapping[str, Leaf]
    failed: Failed
    """By key, what is wrong with the leaves that did not fit their type."""


@dataclass(frozen=True)
class Expansion:
    """The points of a sweep."""

    drafts: list[Draft]
    left_out: list[str]
    """Cases and named points that contradict the command line."""
    diagnostics: list[Diagnostic]


@dataclass(frozen=True)
class _Choice:
    """What one point sets: by name (a case or a named point), and along the axes of the grid."""

    label: str | None
    named: Mapping[str, Leaf]
    axes: Mapping[str, Leaf]


def expand(composition: Composition) -> Expansion:
    """Every case times every combination of the grid, then the named points; without a sweep one point, `default`.

    A key given on the command line holds for every point: a grid axis of that key has the one value, and a case or
    named point with another value is left out.
    """
    if too_many := _too_many(composition):
        return Expansion([], [], [too_many])
    diagnostics = list(_contradictions(composition))
    builder = Builder(ExperimentConfig)
    drafts = [_draft(composition, builder, choice) for choice in _choices(composition)]
    base, failed = builder.build(composition.leaves)
    held = {key: value_at(base, key) for key in sorted(composition.overridden) if key not in failed}
    against = [_against_command_line(composition, held, draft) for draft in drafts]
    kept = [draft for draft, leaves in zip(drafts, against, strict=True) if not leaves]
    if drafts and not kept:
        diagnostics.append(_nothing_left([leaf for leaves in against for leaf in leaves]))
    diagnostics += _clashes(composition, kept)
    left_out = [draft.point.name for draft, leaves in zip(drafts, against, strict=True) if leaves]
    return Expansion(kept, left_out, diagnostics)


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


def _choices(composition: Composition) -> Iterator[_Choice]:
    sweep = composition.sweep
    cases: list[tuple[str | None, Mapping[str, Leaf]]] = [*sweep.cases.items()] or [(None, {})]
    if sweep.cases or sweep.grid or not sweep.points:
        for (label, named), values in itertools.product(cases, itertools.product(*sweep.grid.values())):
            yield _Choice(label, named, dict(zip(sweep.grid, values, strict=True)))
    for label, named in sweep.points.items():
        yield _Choice(label, named, {})


def _too_many(composition: Composition) -> Diagnostic | None:
    """What is wrong with the number of points, which is known before they are made."""
    sweep = composition.sweep
    limit: object = MOST_POINTS
    if sweep.max_points is not None:
        limit = sweep.max_points.value
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            return sweep.max_points.diagnostic(f"expected a whole number above 0, got {spelled(limit)}")
    combinations = math.prod(map(len, sweep.grid.values())) * max(1, len(sweep.cases))
    count = combinations + len(sweep.points)
    if count <= limit:  # type: ignore[operator]
        return None
    sizes = " x ".join([f"{len(axis)} {key}" for key, axis in sweep.grid.items()] or ["1"])
    message = f"{count:,} points ({sizes}) are more than sweep.max_points, {limit:,}"
    return Diagnostic(str(composition.source), "sweep", message, advice="; sweep fewer values, or set sweep.max_points")


def _draft(composition: Composition, builder: Builder[ExperimentConfig], choice: _Choice) -> Draft:
    own = {**choice.named, **choice.axes}
    leaves = laid_over(composition.leaves, own)
    config, failed = builder.build(leaves)

    def values(keys: Collection[str]) -> dict[str, object]:
        return {key: leaves[key].value if key in failed else value_at(config, key) for key in keys}

    name = point_name(choice.label, values(choice.axes))
    return Draft(Point(name, config, values(own), own), leaves, failed)


def _contradictions(composition: Composition) -> Iterator[Diagnostic]:
    for name, leaves in composition.sweep.cases.items():
        for key, leaf in leaves.items():
            if key in composition.sweep.grid:
                yield leaf.diagnostic(f"sweep.grid sets {key} too: take it out of the case '{name}' or of the grid")


def _against_command_line(composition: Composition, held: Mapping[str, object], draft: Draft) -> list[Leaf]:
    """What a case or named point sets otherwise than the command line does."""
    return [
        draft.leaves[key]
        for key, value in held.items()
        if draft.leaves[key] is not composition.leaves[key] and value_at(draft.point.config, key) != value
    ]


def _nothing_left(against: list[Leaf]) -> Diagnostic:
    keys = dict.fromkeys(leaf.key for leaf in against)
    paths = dict.fromkeys(leaf.path for leaf in against)
    message = f"no point is left, because each sets another value itself: override {' and '.join(paths)} instead"
    return Diagnostic(COMMAND_LINE, ", ".join(keys), message)


def _clashes(composition: Composition, drafts: list[Draft]) -> Iterator[Diagnostic]:
    # Some file systems do not tell `Add` from `add`.
    count = Counter(draft.point.name.lower() for draft in drafts)
    if twice := [draft for draft in drafts if count[draft.point.name.lower()] > 1]:
        message = "points need names that differ in more than upper and lower case; take one out or rename it"
        yield _name_error(composition, twice, message)
    if long := [draft for draft in drafts if len(draft.point.name) > LONGEST_NAME]:
        message = (
            f"a point's name has more than {LONGEST_NAME} characters; write it under sweep.points with a short one"
        )
        yield _name_error(composition, long, message)


def _name_error(composition: Composition, drafts: list[Draft], message: str) -> Diagnostic:
    """One diagnostic on the names of several points, at the place of what the first of them sets."""
    first = drafts[0]
    leaf = next((first.leaves[key] for key in first.point.differing), None)
    message = f"{message}: {listed(repr(draft.point.name) for draft in drafts)}"
    if leaf is None:
        return Diagnostic(str(composition.source), "sweep", message)
    return Diagnostic(leaf.file, "sweep", message, leaf.line)
