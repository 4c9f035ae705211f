"""Chooses the tuned values of a variant from the run directories of its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

from vlrouting.config import ExperimentConfig, TunedConfig
from vlrouting.experiment.check import Experiment, load
from vlrouting.experiment.draft import Point
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.rundir import COMPLETE, RunDirectory
from vlrouting.experiment.trials import TUNING

AGAIN = (
    "Type the same `vlrouting sweep` or `train` again: it runs what is missing, and then the points that wait for it."
)


class NotChosen(UserError):
    """A trial has not ended well, so that nothing can be chosen; the text names it and what to do."""


@dataclass(frozen=True)
class Choice:
    """The best trial of a variant."""

    tuned: TunedConfig
    winner: ExperimentConfig
    """The trial's configuration."""

    def applied(self, config: ExperimentConfig) -> ExperimentConfig:
        """A point's configuration with the chosen values."""
        for key in self.tuned.keys:
            config = _taken(config, self.winner, key.split("."))
        return replace(config, tuned=self.tuned)


def chosen(config: ExperimentConfig, folder: Path) -> ExperimentConfig:
    """The configuration of a point with the values that its tuning chooses; as it is where nothing is left to choose.

    Args:
        config: of the point.
        folder: `runs/<experiment>/tuning/`.

    Raises:
        NotChosen: a trial has not ended, or none can be compared.
    """
    if config.tuned is None or config.tuned.trial is not None:
        return config
    return choose(config.tuned, folder).applied(config)


def choose(tuned: TunedConfig, folder: Path) -> Choice:
    """The trial with the highest score; of equal ones the first in the order of the grid. One that diverged is worse
    than any other.

    Raises:
        NotChosen: a trial has not ended, or none can be compared.
        UserError: a file of a trial is damaged.
    """
    runs = {name: RunDirectory(folder / name) for name in tuned.trials}
    results = _results(runs)
    if not results:
        first = next(iter(runs.values()))
        raise NotChosen(f"every trial diverged; tune other values ({first.path}: {first.read_run().get('error')})")
    best = max(results, key=lambda name: results[name][1])
    metric, score = results[best]
    settings = [run.read_config() for run in runs.values()]
    edges = [key for key in tuned.keys if _is_edge(settings, key, runs[best].read_config())]
    winner = load(str(runs[best].config), trust_plugins=True).points[0].config
    return Choice(replace(tuned, trial=best, metric=metric, score=score, edges=edges), winner)


def with_choices(experiment: Experiment, runs: Path) -> tuple[Experiment, dict[str, str]]:
    """The experiment with the chosen values in its points; and by variant, why nothing can be chosen yet."""
    choices: dict[str, Choice] = {}
    reasons: dict[str, str] = {}
    for point in experiment.points:
        tuned, variant = point.config.tuned, point.variant
        if tuned is None or tuned.trial is not None or variant in choices or variant in reasons:
            continue
        try:
            choices[variant] = choose(tuned, runs / experiment.name / TUNING)
        except UserError as error:
            reasons[variant] = str(error)
    points = [
        replace(point, config=choices[point.variant].applied(point.config)) if point.variant in choices else point
        for point in experiment.points
    ]
    return replace(experiment, points=tuple(points)), reasons


def recorded(point: Point, run: RunDirectory) -> Point:
    """The point with the choice that its run directory records; as it is where there is none."""
    tuned = point.config.tuned
    if tuned is None or tuned.trial is not None or not run.config.exists():
        return point
    stored = load(str(run.config), trust_plugins=True).points[0].config
    if stored.tuned is None or stored.tuned.trial is None:
        return point
    return replace(point, config=Choice(stored.tuned, stored).applied(point.config))


def _results(runs: Mapping[str, RunDirectory]) -> dict[str, tuple[str, float]]:
    """Metric and score of every trial that has not diverged.

    Raises:
        NotChosen: some are not complete, or have no such score.
        UserError: a file is damaged.
    """
    compared = {name: run for name, run in runs.items() if not run.has_diverged()}
    unfinished = [_state(run) for run in compared.values() if not run.is_complete()]
    if unfinished:
        raise NotChosen(f"{'; '.join(unfinished)}. {AGAIN}")
    results = {}
    for name, run in compared.items():
        stored, metrics = run.read_run(), run.read_metrics()
        metric = str(stored.get("main_metric"))
        if metric not in metrics:
            reasons = stored.get("not_computed")
            why = "; ".join(map(str, reasons.values())) if isinstance(reasons, dict) else "run it with --again"
            raise NotChosen(f"the trial {run.path} has no {metric}: {why}")
        results[name] = (metric, metrics[metric])
    return results


def _state(run: RunDirectory) -> str:
    stored = run.read_run()
    status = str(stored.get("status") or "not started").replace(COMPLETE, "incomplete")
    reason = f" ({stored['error']})" if stored.get("error") else ""
    return f"the trial {run.path} is {status}{reason}"


def _is_edge(settings: Sequence[Mapping[str, object]], key: str, best: Mapping[str, object]) -> bool:
    """Whether the best value of a numeric grid is its first or last."""
    values = [trial.get(key) for trial in settings]
    numbers = {value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)}
    return len(numbers) > 1 and best.get(key) in (min(numbers), max(numbers))


def _taken(config: Any, winner: Any, path: Sequence[str]) -> Any:
    """`config` with the value at a path taken from `winner`; the whole section where the two are of different kinds."""
    if not path or type(config) is not type(winner):
        return winner
    name, *rest = path
    if is_dataclass(config):
        return replace(config, **{name: _taken(getattr(config, name), getattr(winner, name), rest)})  # type: ignore[type-var]
    return {**config, name: _taken(config.get(name), winner[name], rest)}
