"""A sweep taken apart into points, and their names."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vlrouting.config import ExperimentConfig
from vlrouting.config.fit import spelled
from vlrouting.config.names import counted, listed
from vlrouting.experiment.compose import Composition, laid_over
from vlrouting.experiment.document import COMMAND_LINE, Leaf
from vlrouting.experiment.draft import DEFAULT_POINT, Draft, Point, point_name, values_of
from vlrouting.experiment.errors import Diagnostic
from vlrouting.experiment.sweep_section import MOST_POINTS, Sweep
from vlrouting.experiment.trials import TUNING, number_of_trials, tune_errors, tuned_axes, with_trials
from vlrouting.experiment.typed import Builder, value_at

__all__ = ["DEFAULT_POINT", "Draft", "Expansion", "Point", "expand", "point_name"]
LONGEST_NAME = 200
"""Characters of a point's name; file systems allow 255 bytes, and temporary files add to it."""


@dataclass(frozen=True)
class Expansion:
    """The points of a sweep, and the trials of what is tuned."""

    drafts: list[Draft]
    trials: list[Draft]
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
    """Every case times every combination of the grid, then the named points, each with every seed; without a sweep one
    point, `default`. And the trials of what is tuned.

    A key given on the command line holds for every point: a grid axis of that key has the one value, and a case or
    named point with another value is left out.
    """
    if too_many := _too_many(composition):
        return Expansion([], [], [], [too_many])
    diagnostics = list(_contradictions(composition))
    builder = Builder(ExperimentConfig)
    first_trial = {key: axis[0] for key, axis in tuned_axes(composition).items()}
    drafts = [_draft(composition, builder, choice, first_trial) for choice in _choices(composition)]
    base, failed = builder.build(composition.leaves)
    held = {key: value_at(base, key) for key in sorted(composition.overridden) if key not in failed}
    against = [_against_command_line(composition, held, draft) for draft in drafts]
    kept = [draft for draft, leaves in zip(drafts, against, strict=True) if not leaves]
    if drafts and not kept:
        diagnostics.append(_nothing_left([leaf for leaves in against for leaf in leaves]))
    diagnostics += tune_errors(composition, kept)
    kept, trials = with_trials(composition, builder, kept)
    diagnostics += [*_clashes(composition, kept), *_clashes(composition, trials)]
    if trials and (taken := [draft for draft in kept if draft.point.name.lower() == TUNING]):
        diagnostics.append(_name_error(composition, taken, "the folder of that name is for the trials; rename it"))
    left_out = [draft.point.name for draft, leaves in zip(drafts, against, strict=True) if leaves]
    return Expansion(kept, trials, left_out, diagnostics)


def _choices(composition: Composition) -> Iterator[_Choice]:
    sweep = composition.sweep
    cases: list[tuple[str | None, Mapping[str, Leaf]]] = [*sweep.cases.items()] or [(None, {})]
    seeds = [{"seed": leaf} for leaf in sweep.seeds] or [{}]
    if sweep.cases or sweep.grid or not sweep.points:
        for (label, named), values in itertools.product(cases, itertools.product(*sweep.grid.values())):
            yield from (_Choice(label, named, dict(zip(sweep.grid, values, strict=True)) | seed) for seed in seeds)
    for label, named in sweep.points.items():
        yield from (_Choice(label, named, seed) for seed in seeds)


def _too_many(composition: Composition) -> Diagnostic | None:
    """What is wrong with the number of points and trials, which is known before they are made."""
    sweep = composition.sweep
    limit: object = MOST_POINTS
    if sweep.max_points is not None:
        limit = sweep.max_points.value
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            return sweep.max_points.diagnostic(f"expected a whole number above 0, got {spelled(limit)}")
    per_case = {key: len(axis) for key, axis in sweep.grid.items()}
    in_grid = max(1, len(sweep.cases)) if sweep.cases or sweep.grid or not sweep.points else 0
    points = (in_grid * math.prod(per_case.values()) + len(sweep.points)) * max(1, len(sweep.seeds))
    variants = in_grid * math.prod(size for key, size in per_case.items() if key != "seed") + len(sweep.points)
    trials = variants * number_of_trials(tuned_axes(composition))
    if points + trials <= limit:  # type: ignore[operator]
        return None
    axes = {**per_case, **({"seeds": len(sweep.seeds)} if sweep.seeds else {})}
    sizes = " x ".join([f"{size} {key}" for key, size in axes.items()] or ["1"])
    message = f"{counted(points, 'point')} ({sizes})" + (f" and {counted(trials, 'trial')}" if trials else "")
    message += f" are more than sweep.max_points, {limit:,}"
    return Diagnostic(str(composition.source), "sweep", message, advice="; sweep fewer values, or set sweep.max_points")


def _draft(
    composition: Composition, builder: Builder[ExperimentConfig], choice: _Choice, tuned: Mapping[str, Leaf]
) -> Draft:
    """A point; `tuned`: values that hold until one is chosen."""
    swept = {**choice.named, **choice.axes}
    own = {**tuned, **swept}
    leaves = laid_over(composition.leaves, own)
    config, failed = builder.build(leaves)
    axes = values_of(config, failed, leaves, choice.axes)
    variant = point_name(choice.label, {key: value for key, value in axes.items() if key != "seed"})
    differing = values_of(config, failed, leaves, swept)
    return Draft(Point(point_name(choice.label, axes), config, differing, own, variant), leaves, failed)


def _contradictions(composition: Composition) -> Iterator[Diagnostic]:
    for name, leaves in composition.sweep.cases.items():
        for key, leaf in leaves.items():
            if key in composition.sweep.grid:
                yield leaf.diagnostic(f"sweep.grid sets {key} too: take it out of the case '{name}' or of the grid")
    yield from _seed_errors(composition.sweep)


def _seed_errors(sweep: Sweep) -> Iterator[Diagnostic]:
    if not sweep.seeds:
        return
    named = [leaves["seed"] for part in (sweep.cases, sweep.points) for leaves in part.values() if "seed" in leaves]
    for leaf in [*named, *sweep.grid.get("seed", ())[:1]]:
        yield leaf.diagnostic(f"sweep.seeds, {sweep.seeds[0].place}, sets the seed too", "; take one of them out")
    values = Counter(repr(leaf.value) for leaf in sweep.seeds)
    if twice := [value for value, count in values.items() if count > 1]:
        yield sweep.seeds[0].diagnostic(f"a seed is given twice: {', '.join(twice)}")


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
