"""The trials of `sweep.tune`: every variant with each combination of the tuned keys, scored on the validation split."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from vlrouting.config import ExperimentConfig, TunedConfig
from vlrouting.config.training import VALIDATION
from vlrouting.experiment.compose import Composition, laid_over
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.draft import DEFAULT_POINT, Draft, Point, point_name, values_of
from vlrouting.experiment.errors import Diagnostic
from vlrouting.experiment.sweep_section import Tune
from vlrouting.experiment.typed import Builder

TUNING = "tuning"
"""Folder of the trials among an experiment's run directories."""
SEED = 100
"""Of the trials, where `sweep.tune.seed` does not say otherwise."""
_SPLITS = ("validation", "test")
_COMPARED_ON = ("evaluate.split", "evaluate.limit", *(f"{s}.{k}" for s in ("data", "datasets.*") for k in _SPLITS))
"""Keys that decide what the trials are compared on; `*` stands for a name."""
_LENGTH = ("train.max_steps", "train.epochs")
Axes = Mapping[str, tuple[Leaf, ...]]


def tuned_axes(composition: Composition) -> dict[str, tuple[Leaf, ...]]:
    """The keys that are tuned, each with the leaves of its values; those that cannot be tuned are left out."""
    tune = composition.sweep.tune
    wrong = {key for key, _ in _refused(composition)}
    return {key: axis for key, axis in tune.grid.items() if key not in wrong} if tune is not None else {}


def number_of_trials(axes: Axes) -> int:
    """Of each variant; 0 where there is nothing to choose."""
    count = math.prod(map(len, axes.values()))
    return count if count > 1 else 0


def tune_errors(composition: Composition, drafts: Sequence[Draft]) -> Iterator[Diagnostic]:
    """What is wrong with `sweep.tune`, apart from its values, which are checked in the trials."""
    tune = composition.sweep.tune
    if tune is None:
        return
    read_errors = any(diagnostic.key.startswith("sweep.tune") for diagnostic in composition.diagnostics)
    if not tune.grid and not read_errors:
        yield tune.place.diagnostic("chooses among the values of a grid", "; set sweep.tune.grid")
    yield from (diagnostic for _, diagnostic in _refused(composition))
    seed = SEED if tune.seed is None else tune.seed.value
    axes = tuned_axes(composition)
    if number_of_trials(axes) and any(d.point.config.seed == seed for d in drafts if "seed" not in d.failed):
        message = f"the points use seed {seed} too, so that they would be compared on the seed they were chosen by"
        yield (tune.seed or tune.place).diagnostic(message, "; set sweep.tune.seed to another one")
    if tune.max_steps is not None and tune.max_steps.value is not None and (both := axes.keys() & {*_LENGTH}):
        yield tune.max_steps.diagnostic(f"sweep.tune.grid tunes {', '.join(sorted(both))}", "; take one of the two out")


def _refused(composition: Composition) -> Iterator[tuple[str, Diagnostic]]:
    """Keys that cannot be tuned, and why."""
    sweep = composition.sweep
    for key, axis in sweep.tune.grid.items() if sweep.tune is not None else ():
        named = {"case": sweep.cases, "point": sweep.points}
        setters = [f"the {what} '{name}'" for what, all_ in named.items() for name, own in all_.items() if key in own]
        setters = (["sweep.grid"] if key in sweep.grid else []) + setters
        if key == "seed":
            yield key, axis[0].diagnostic("a seed is no setting to choose", "; list the seeds in sweep.seeds")
        elif any(fnmatchcase(key, pattern) for pattern in _COMPARED_ON):
            yield key, axis[0].diagnostic("decides what the trials are compared on", "; take it out")
        elif setters:
            message = f"{setters[0]} sets {key} too: take it out of one of the two"
            yield key, axis[0].diagnostic(message)


def with_trials(
    composition: Composition, builder: Builder[ExperimentConfig], drafts: Sequence[Draft]
) -> tuple[list[Draft], list[Draft]]:
    """The points, each with what is chosen for it, and the trials of their variants, in the order of the grid."""
    axes, tune = tuned_axes(composition), composition.sweep.tune
    if tune is None or not number_of_trials(axes):
        return list(drafts), []
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    variants = {draft.point.variant: draft for draft in reversed(drafts)}
    trials: dict[str, list[Draft]] = {}
    for variant in dict.fromkeys(draft.point.variant for draft in drafts):
        first = variants[variant]
        trials[variant] = [_trial(composition, tune, builder, first, chosen) for chosen in combinations]

    def tuned(draft: Draft) -> Draft:
        names = [trial.point.name for trial in trials[draft.point.variant]]
        config = replace(draft.point.config, tuned=TunedConfig(list(axes), names))
        return replace(draft, point=replace(draft.point, config=config))

    return [tuned(draft) for draft in drafts], [trial for of_variant in trials.values() for trial in of_variant]


def _trial(
    composition: Composition, tune: Tune, builder: Builder[ExperimentConfig], draft: Draft, chosen: Mapping[str, Leaf]
) -> Draft:
    """One trial of the variant that a point belongs to."""
    at = replace(tune.place, layer=composition.layers)
    settings = {"evaluate.split": replace(at, key="evaluate.split", value=VALIDATION)}
    settings["seed"] = tune.seed or replace(at, key="seed", value=SEED)
    limit = tune.max_steps
    if limit is not None and limit.value is not None:
        own = draft.point.config.train.max_steps
        if own is None or not isinstance(limit.value, int) or limit.value < own:
            settings |= {"train.max_steps": limit, "train.epochs": replace(limit, key="train.epochs", value=None)}
    leaves = laid_over(draft.leaves, {**chosen, **settings})
    config, failed = builder.build(leaves)
    values = values_of(config, failed, leaves, chosen)
    point = draft.point
    name = ",".join([*([point.variant] if point.variant != DEFAULT_POINT else []), point_name(None, values)])
    differing = {key: value for key, value in point.differing.items() if key != "seed"} | values
    own_leaves = {**point.own, **chosen, **settings}
    return Draft(Point(name, config, differing, own_leaves, point.variant), leaves, failed)
