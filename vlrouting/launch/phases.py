"""The two phases of a tuned experiment: first the trials, then the points with what was chosen. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlrouting.config import METRICS
from vlrouting.config.fit import spelled
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, to_yaml, write_text_atomic
from vlrouting.experiment.choice import with_choices
from vlrouting.experiment.rundir import differing_keys, settings_of, tuned_keys
from vlrouting.experiment.safe_yaml import load_text
from vlrouting.experiment.schema import decides
from vlrouting.experiment.trials import TUNING
from vlrouting.experiment.typed import value_at
from vlrouting.launch.open_points import set_aside, still_open
from vlrouting.progress_bar import say

Run = Callable[[Experiment, Sequence[Point], Path], dict[str, str]]
"""Trains points of an experiment: name -> reason of those that failed."""


@dataclass(frozen=True)
class Decided:
    """An experiment after its tuning."""

    experiment: Experiment
    """With the chosen values in its points."""
    ready: list[Point]
    """Points that can be trained."""
    waiting: dict[str, str]
    """Point name -> why nothing can be chosen for it yet."""


def in_phases(experiment: Experiment, points: Sequence[Point], runs: Path, run: Run) -> dict[str, str]:
    """Run the trials of the points' variants, choose, and run the points.

    Args:
        experiment: validated.
        points: of it.
        runs: folder of the run directories.
        run: trains those points of an experiment that are not complete.

    Returns:
        Point name -> reason, of those that failed, or that cannot start because of a trial.
    """
    if trials := trials_of(experiment, points):
        _require_scores(trials)
        run(experiment.tuning, trials, runs)
    decided = decide(experiment, points, runs)
    failed = run(decided.experiment, decided.ready, runs) if decided.ready else {}
    return decided.waiting | failed


def _require_scores(trials: Sequence[Point]) -> None:
    """
    Raises:
        UserError: this machine cannot compute what the trials are compared by.
    """
    for view in (view for trial in trials for view in trial.config.per_dataset.values()):
        metric = METRICS.load(view.metric)
        reason = metric.missing(view.evaluate).get(metric.main)
        if reason is not None:
            raise UserError(f"sweep.tune: nothing can be chosen, because {metric.main} is not computed here: {reason}")


def trials_of(experiment: Experiment, points: Sequence[Point]) -> list[Point]:
    """The trials of the points' variants."""
    variants = {point.variant for point in points}
    return [trial for trial in experiment.trials if trial.variant in variants]


def open_names(experiment: Experiment, points: Sequence[Point], runs: Path) -> list[str]:
    """What would run: `tuning/…` for the trials, then the points."""
    trials = trials_of(experiment, points)
    found = still_open(experiment.tuning, trials, runs) if trials else []
    return [f"{TUNING}/{trial.name}" for trial in found] + [
        point.name for point in still_open(experiment, points, runs)
    ]


def set_aside_with_trials(experiment: Experiment, points: Sequence[Point], runs: Path) -> None:
    """Move the points and the trials of their variants to `.old/`.

    Raises:
        UserError: one of them is being run.
    """
    set_aside(experiment.tuning, trials_of(experiment, points), runs)
    set_aside(experiment, points, runs)


def decide(experiment: Experiment, points: Sequence[Point], runs: Path, busy: Collection[str] = ()) -> Decided:
    """Choose what is tuned, as far as the trials allow; points with an older choice are moved to `.old/`.

    Args:
        experiment: validated.
        points: of it.
        runs: folder of the run directories.
        busy: names of points that are queued or running; they stay as they are.

    Raises:
        UserError: a point with an older choice is being run, or its directory cannot be read.
    """
    if not experiment.trials:
        return Decided(experiment, list(points), {})
    resolved, reasons = with_choices(experiment, runs)
    kept = [p if p.name in busy else new for p, new in zip(experiment.points, resolved.points, strict=True)]
    resolved, names = replace(experiment, points=tuple(kept)), {point.name for point in points}
    ready = [point for point in kept if point.name in names and point.variant not in reasons]
    free = [point for point in ready if point.name not in busy]
    for variant, point in {point.variant: point for point in free}.items():
        say(f"{experiment.name}: {variant}: {_spelled_choice(point)}")
    _follow_choices(resolved, free, runs)
    return Decided(resolved, ready, {p.name: reasons[p.variant] for p in points if p.variant in reasons})


def _spelled_choice(point: Point) -> str:
    tuned = point.config.tuned
    assert tuned is not None
    values = ", ".join(f"{key}={spelled(value_at(point.config, key))}" for key in tuned.keys)
    edge = f"; {', '.join(tuned.edges)} at the edge of the grid" if tuned.edges else ""
    return f"{values} is chosen ({tuned.metric} {tuned.score:.2f}{edge})"


def _follow_choices(experiment: Experiment, points: Sequence[Point], runs: Path) -> None:
    """Move runs with an older choice out of the way, and write down where an unchanged choice now comes from."""
    for point in points:
        run = RunDirectory(runs / experiment.name / point.name)
        try:
            old = run.read_config() if run.config.exists() else {}
        except UserError:  # which is said when the point starts
            continue
        text = to_yaml(point.config)
        new = settings_of(load_text(text))
        changed, tuned = differing_keys(old, new), {*tuned_keys(old), *tuned_keys(new)}
        if not old or any(not any(decides(key, other) for key in tuned) for other in changed):
            continue  # nothing is there, or a run with other settings, which is refused when the point starts
        if changed and old.get("tuned.trial") is not None:
            say(f"{point.name}: {_changes(old, new, changed)}: the older run is moved to .old/, and trained again")
            set_aside(experiment, [point], runs)
        elif any(old.get(key) != new.get(key) for key in {*old, *new} if key.startswith("tuned.")):
            with run.lock():
                write_text_atomic(run.config, text)


def _changes(old: Mapping[str, object], new: Mapping[str, object], keys: Sequence[str]) -> str:
    parts = (f"{key}={spelled(new.get(key))} is chosen now, not {spelled(old.get(key))}" for key in keys)
    return ", ".join(parts)
