"""A sweep taken apart into points, and their names."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from vlrouting.config import ExperimentConfig
from vlrouting.config.names import listed
from vlrouting.experiment.compose import Composition
from vlrouting.experiment.document import COMMAND_LINE, Leaf
from vlrouting.experiment.errors import Diagnostic
from vlrouting.experiment.schema import spelled
from vlrouting.experiment.typed import build, value_at

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
    failed: Mapping[str, Diagnostic]
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
    diagnostics = list(_contradictions(composition))
    drafts = [_draft(composition, choice) for choice in _choices(composition)]
    base, failed = build(composition.leaves)
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
    last = Counter(key.rpartition(".")[2] for key in axes)
    parts = [] if label is None else [label]
    for key, value in axes.items():
        short = key.rpartition(".")[2]
        parts.append(f"{short if last[short] == 1 else key}={_file_name(value)}")
    return ",".join(parts) or DEFAULT_POINT


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


def _draft(composition: Composition, choice: _Choice) -> Draft:
    leaves = {**composition.leaves, **choice.named, **choice.axes}
    config, failed = build(leaves)

    def values(keys: Collection[str]) -> dict[str, object]:
        return {key: leaves[key].value if key in failed else value_at(config, key) for key in keys}

    name = point_name(choice.label, values(choice.axes))
    return Draft(Point(name, config, values([*choice.named, *choice.axes])), leaves, failed)


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
