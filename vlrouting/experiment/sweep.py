"""A sweep taken apart into points, and their names."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from vlrouting.config import ExperimentConfig
from vlrouting.experiment.build import build, value_at
from vlrouting.experiment.compose import Composition
from vlrouting.experiment.document import COMMAND_LINE, Leaf
from vlrouting.experiment.errors import Finding

DEFAULT_POINT = "default"
LONGEST_NAME = 200
"""Characters of a point's name; file systems allow 255 bytes, and temporary files add to it."""


@dataclass(frozen=True)
class Point:
    """One resolved configuration of an experiment."""

    name: str
    """Made of what differs: `lora,routing=add,seed=42`. It names the run directory."""
    config: ExperimentConfig
    differing: dict[str, object]
    """The swept keys and their values."""


@dataclass(frozen=True)
class Draft:
    """A point while it is being checked."""

    point: Point
    leaves: Mapping[str, Leaf]
    failed: Mapping[str, Finding]
    """By key, what is wrong with the leaves that did not fit their type."""


@dataclass(frozen=True)
class Expansion:
    """The points of a sweep."""

    drafts: list[Draft]
    left_out: list[str]
    """Cases and named points that contradict the command line."""
    findings: list[Finding]


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
    findings = list(_contradictions(composition))
    drafts = [_draft(composition, choice) for choice in _choices(composition)]
    base, failed = build(composition.leaves)
    held = {key: value_at(base, key) for key in composition.overridden if key not in failed}
    agrees = [all(value_at(draft.point.config, key) == held[key] for key in held) for draft in drafts]
    kept = list(itertools.compress(drafts, agrees))
    if drafts and not kept:
        keys = ", ".join(sorted(held))
        findings.append(Finding(COMMAND_LINE, keys, "no point is left: each one sets another value itself"))
    for draft in kept:
        findings += draft.failed.values()
    findings += _clashes(composition, kept)
    left_out = [draft.point.name for draft, good in zip(drafts, agrees, strict=True) if not good]
    return Expansion(kept, left_out, findings)


def point_name(label: str | None, axes: Mapping[str, object]) -> str:
    """`lora,routing=add,seed=42`: a key's last part, or the whole key where two axes share the last part."""
    last = Counter(key.rpartition(".")[2] for key in axes)
    parts = [] if label is None else [label]
    for key, value in axes.items():
        short = key.rpartition(".")[2]
        parts.append(f"{short if last[short] == 1 else key}={_file_name(value)}")
    return ",".join(parts) or DEFAULT_POINT


def _file_name(value: object) -> str:
    """A value as part of a folder's name, on any file system."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "+".join(_file_name(entry) for entry in value) or "empty"
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", str(value)) or "empty"


def _choices(composition: Composition) -> Iterator[_Choice]:
    sweep = composition.sweep
    cases: list[tuple[str | None, Mapping[str, Leaf]]] = [*sweep.cases.items()] or [(None, {})]
    if sweep.cases or sweep.grid or not sweep.points:
        for (label, named), values in itertools.product(cases, itertools.product(*sweep.grid.values())):
            yield _Choice(label, named, dict(zip(sweep.grid, values, strict=True)))
    for label, named in sweep.points.items():
        yield _Choice(label, named, {})


def _draft(composition: Composition, choice: _Choice) -> Draft:
    leaves = {**composition.leaves, **choice.named, **choice.axes}
    config, failed = build(leaves)

    def values(keys: Collection[str]) -> dict[str, object]:
        return {key: leaves[key].value if key in failed else value_at(config, key) for key in keys}

    name = point_name(choice.label, values(choice.axes))
    return Draft(Point(name, config, values([*choice.named, *choice.axes])), leaves, failed)


def _contradictions(composition: Composition) -> Iterator[Finding]:
    for name, leaves in composition.sweep.cases.items():
        for key in leaves.keys() & composition.sweep.grid.keys():
            yield leaves[key].finding(f"sweep.grid sets {key} too: take it out of the case '{name}' or of the grid")


def _clashes(composition: Composition, drafts: list[Draft]) -> Iterator[Finding]:
    file = str(composition.source)
    # Some file systems do not tell `Add` from `add`.
    for name, count in Counter(draft.point.name.lower() for draft in drafts).items():
        if count > 1:
            yield Finding(file, "sweep", f"{count} points are named '{name}': take out what is there twice")
        if len(name) > LONGEST_NAME:
            yield Finding(file, "sweep", f"a point's name has {len(name)} characters: give it a short one in cases")
