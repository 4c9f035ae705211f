"""Learning curves of variants, from the event files that TensorBoard shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vlrouting.experiment.rundir import RunDirectory
from vlrouting.report.comparison import Variant

LOSS = "train/loss"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A tag over the training of all seeds of a variant."""

    label: str
    """The variant's."""
    steps: Array
    """(T,) optimizer steps that every seed has a value of."""
    values: Array
    """(S, T)."""


def learning_curves(variants: Iterable[Variant], tags: Iterable[str]) -> dict[str, list[Curve]]:
    """Tag, such as `train/loss` -> the curve of every variant that has one."""
    curves: dict[str, list[Curve]] = {tag: [] for tag in tags}
    for variant in variants:
        runs = [scalars(RunDirectory(row.folder), curves) for row in variant.runs if row.folder is not None]
        for tag, found in curves.items():
            curve = _curve(variant.label, [run[tag] for run in runs if run[tag]])
            if curve is not None:
                found.append(curve)
    return curves


def scalars(run: RunDirectory, tags: Iterable[str]) -> dict[str, dict[int, float]]:
    """Tag -> step -> value of a run. File by file, because files of one second have no order that TensorBoard sees."""
    found: dict[str, dict[int, float]] = {tag: {} for tag in tags}
    for file in sorted(run.tensorboard.glob("*tfevents*")):
        # Images and the like are not kept: each kind that is not asked for has space for one.
        events = EventAccumulator(str(file), size_guidance={"scalars": 0, "images": 1, "tensors": 1})
        events.Reload()
        for tag in found.keys() & set(events.Tags()["scalars"]):
            found[tag] |= {event.step: event.value for event in events.Scalars(tag)}
    return found


def _curve(label: str, runs: list[Mapping[int, float]]) -> Curve | None:
    """The steps that all seeds share; None for fewer than two."""
    if not runs:
        return None
    steps = sorted(set(runs[0]).intersection(*runs[1:]))
    values = np.array([[run[step] for step in steps] for run in runs], dtype=np.float64)
    finite = np.isfinite(values).all(axis=0) if steps else np.zeros(0, dtype=bool)
    if finite.sum() < 2:
        return None
    return Curve(label, np.array(steps, dtype=np.float64)[finite], values[:, finite])
