"""Where every value of a point comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def settings(experiment: Experiment, points: Sequence[Point]) -> list[Setting]:
    """Every key of some points, in the order of the configuration."""
    flat = [flatten(plain(point.config)) for point in points]
    found = []
    for key in dict.fromkeys(key for values in flat for key in values):
        values = [of_point[key] for of_point in flat if key in of_point]
        distinct = list({repr(value): value for value in values}.values())
        differs = len(distinct) > 1 or len(values) < len(points)
        origins = dict.fromkeys(_origin(experiment, point, key) for point in points)
        found.append(Setting(key, distinct if differs else values[0], listed(origins), differs))
    return found


def _origin(experiment: Experiment, point: Point, key: str) -> str:
    if key in point.own:
        leaf = point.own[key]
        return f"{leaf.place}, {leaf.path.removesuffix(f'.{key}')}"
    leaf_of_all = experiment.leaves.get(key)
    if leaf_of_all is None:
        return DEFAULT
    return COMMAND_LINE if leaf_of_all.file == COMMAND_LINE else leaf_of_all.place
