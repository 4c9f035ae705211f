"""Where every value of a point comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vlrouting.config.names import listed
from vlrouting.experiment.check import Experiment
from vlrouting.experiment.document import COMMAND_LINE
from vlrouting.experiment.resolve import plain
from vlrouting.experiment.schema import flatten
from vlrouting.experiment.sweep import Point

DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """One key of a resolved configuration."""

    key: str
    value: object
    """As it may be written down; of several points that differ in it, all values in a list."""
    origin: str
    """`default`, `experiments/x.yaml:7`, `command line`; with the path in the sweep where it stands there."""
    differs: bool = False
    """Whether the points differ in it."""
    tuned: bool = False
    """Whether the tuning chooses among the values, in a list."""


def settings(experiment: Experiment, points: Sequence[Point]) -> list[Setting]:
    """Every key of some points, in the order of the configuration. How a value will be chosen is no key."""
    trials = _trials_of(experiment, points)
    undecided = [point.config for point in points if point.variant in trials]
    tuned = {key for config in undecided if config.tuned is not None for key in config.tuned.keys}
    configs = [replace(point.config, tuned=None) if point.variant in trials else point.config for point in points]
    flat = [flatten(plain(config)) for config in configs]
    found = []
    for key in dict.fromkeys(key for values in flat for key in values):
        values = [of_point[key] for of_point in flat if key in of_point]
        if key in tuned:
            values = [flatten(plain(trial.config)).get(key) for of_variant in trials.values() for trial in of_variant]
        distinct = list({repr(value): value for value in values}.values())
        differs = key not in tuned and (len(distinct) > 1 or len(values) < len(points))
        origins = dict.fromkeys(_origin(experiment, point, key) for point in points)
        shown = distinct if differs or key in tuned else values[0]
        found.append(Setting(key, shown, listed(origins), differs, key in tuned))
    return found


def _trials_of(experiment: Experiment, points: Sequence[Point]) -> dict[str, list[Point]]:
    """Variant -> its trials, of the points' variants whose values are not chosen yet."""
    variants = {point.variant for point in points if point.config.tuned and point.config.tuned.trial is None}
    return {v: [trial for trial in experiment.trials if trial.variant == v] for v in variants}


def _origin(experiment: Experiment, point: Point, key: str) -> str:
    if key in point.own:
        leaf = point.own[key]
        return f"{leaf.place}, {leaf.path.removesuffix(f'.{key}')}"
    leaf_of_all = experiment.leaves.get(key)
    if leaf_of_all is None:
        return DEFAULT
    return COMMAND_LINE if leaf_of_all.file == COMMAND_LINE else leaf_of_all.place
