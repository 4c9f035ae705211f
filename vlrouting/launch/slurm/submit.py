"""A sweep handed to SLURM: either all of it is written down and queued, or nothing is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config.cluster import ClusterConfig
from vlrouting.config.names import counted, listed
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, to_yaml
from vlrouting.launch.alive import local_launcher
from vlrouting.launch.open_points import still_open
from vlrouting.launch.phases import Decided, decide, trials_of
from vlrouting.launch.slurm import scheduler
from vlrouting.launch.slurm.held import HeldJob, hold
from vlrouting.launch.slurm.records import active_tasks, alone, sweep_folder
from vlrouting.launch.slurm.scheduler import Task
from vlrouting.launch.slurm.script import Submission, batch_script, shape_of
from vlrouting.progress_bar import say

FIRST_ARRAY = "JOB_OF_THE_TRIALS"
"""In place of the id of a job that a dry run does not submit."""


@dataclass(frozen=True)
class _Array:
    """The points of one phase.

    Attributes:
        experiment: whose points they are.
        waiting: those to submit.
        active: by name, the tasks of those that are queued or running already.
    """

    experiment: Experiment
    waiting: list[Point]
    active: dict[str, Task]


def submit(
    experiment: Experiment, points: Sequence[Point], runs: Path, cluster: ClusterConfig, *, dry_run: bool = False
) -> str | None:
    """Queue every point that is neither complete nor queued already, as one job array; and before it, as another one,
    the trials of what is tuned, which the points wait for.

    Args:
        experiment: validated.
        points: of it.
        runs: folder of the run directories.
        cluster: settings of the scheduler.
        dry_run: print the scripts; nothing is written, and no scheduler asked. Where every point is complete, the
            script is that of all points.

    Returns:
        The id of the points' job, else of the trials'; None when every point is complete, and of a dry run.

    Raises:
        UserError: the scheduler is absent or refuses, every point that is left is queued or running already, a
            directory holds a run with other settings or is in use, the points differ in what they need.
    """
    if dry_run:
        _print_scripts(experiment, points, runs, cluster)
        return None
    folder = runs / experiment.name
    if (launcher := local_launcher(folder)) is not None:
        raise UserError(f"{experiment.name} runs already as a local sweep (process {launcher.pid} on {launcher.host})")
    with alone(folder):
        trials = trials_of(experiment, points)
        tuning = _array(experiment.tuning, trials, runs) if trials else _Array(experiment, [], {})
        decided = decide(experiment, points, runs, busy=active_tasks(folder) if trials else ())
        array = _array(decided.experiment, _startable(decided, tuning, folder), runs)
        if not tuning.waiting and not array.waiting:
            _require_nothing_active(experiment, decided, {**tuning.active, **array.active})
            return None
        return _submit_arrays(tuning, array, runs, cluster)


def _array(experiment: Experiment, points: Sequence[Point], runs: Path) -> _Array:
    found = still_open(experiment, points, runs)
    active = active_tasks(runs / experiment.name)
    known = {point.name: active[point.name] for point in found if point.name in active}
    if known and len(known) < len(found):
        say(f"queued or running already: {_spelled(known)}")
    return _Array(experiment, [point for point in found if point.name not in active], known)


def _startable(decided: Decided, tuning: _Array, folder: Path) -> list[Point]:
    """The points that can be queued: those with a choice, and those that will choose when they start. A run with an
    older choice stays as it is until the new trials have ended."""
    awaited = {trial.name for trial in tuning.waiting} | tuning.active.keys()
    undecided = [point for point in decided.experiment.points if point.name in decided.waiting]
    later = [p for p in undecided if p.config.tuned is not None and awaited & {*p.config.tuned.trials}]
    older = [point for point in later if _has_choice(RunDirectory(folder / point.name))]
    if older:
        names = listed(point.name for point in older)
        say(f"{names}: trained with an older choice; when the tuning has ended, the same command chooses again")
    for name, reason in decided.waiting.items():
        if name not in {point.name for point in later}:
            say(f"{name}: {reason}")
    return [*decided.ready, *(point for point in later if point not in older)]


def _has_choice(run: RunDirectory) -> bool:
    return run.config.exists() and run.read_config().get("tuned.trial") is not None


def _require_nothing_active(experiment: Experiment, decided: Decided, active: dict[str, Task]) -> None:
    """
    Raises:
        UserError: there is nothing to submit, and yet not all is complete.
    """
    if active:
        raise UserError(
            f"nothing to submit: queued or running already: {_spelled(active)}. Look with `vlrouting status "
            f"{experiment.name}`, end them with `vlrouting cancel {experiment.name}`."
        )
    if decided.waiting:
        raise UserError(f"nothing to submit: {next(iter(decided.waiting.values()))}")


def _spelled(active: dict[str, Task]) -> str:
    return ", ".join(f"{name} ({task.id})" for name, task in active.items())


def _submit_arrays(tuning: _Array, array: _Array, runs: Path, cluster: ClusterConfig) -> str:
    """Both are on hold until both are written down: one without the other would be of no use.

    Returns:
        The id of the points' job, else of the trials'.
    """
    held: list[HeldJob] = []
    try:
        if tuning.waiting:
            held.append(_hold(tuning, runs, cluster))
        if array.waiting:
            after = [*(job.id for job in held), *dict.fromkeys(task.job for task in tuning.active.values())]
            held.append(_hold(array, runs, cluster, after))
        for job in held:
            scheduler.release(job.id)
    except BaseException:
        for job in reversed(held):
            job.take_back()
        raise
    name = array.experiment.name
    if tuning.waiting:
        say(f"job {held[0].id}: {counted(len(tuning.waiting), 'trial')} of the tuning queued")
    if array.waiting:
        queued = "queued, after the tuning" if tuning.waiting or tuning.active else "queued"
        say(f"job {held[-1].id}: {counted(len(array.waiting), 'point')} {queued}; status: `vlrouting status {name}`")
    return held[-1].id


def _hold(array: _Array, runs: Path, cluster: ClusterConfig, after: Sequence[str] = ()) -> HeldJob:
    experiment, folder = array.experiment, runs / array.experiment.name
    submission = _submission(experiment, array.waiting, folder, cluster, after)
    batch_script(submission)  # a path that cannot stand in it is found before anything is written
    for point in array.waiting:
        run = RunDirectory(folder / point.name)
        with run.lock():
            run.prepare(to_yaml(point.config))
            run.update_run(swept=experiment.swept(point))
    return hold(submission, [point.name for point in array.waiting], folder)


def _print_scripts(experiment: Experiment, points: Sequence[Point], runs: Path, cluster: ClusterConfig) -> None:
    trials = trials_of(experiment, points)
    open_trials = still_open(experiment.tuning, trials, runs) if trials else []
    waiting = still_open(experiment, points, runs)
    if not waiting and not open_trials:
        say("every point is complete, so nothing would be submitted; the script if they were not:")
        waiting = list(points)
    if open_trials:
        tuning = experiment.tuning
        print(batch_script(_submission(tuning, open_trials, runs / tuning.name, cluster)), end="")
    if waiting:
        after = [FIRST_ARRAY] if open_trials else []
        print(batch_script(_submission(experiment, waiting, runs / experiment.name, cluster, after)), end="")


def _submission(
    experiment: Experiment, points: Sequence[Point], folder: Path, cluster: ClusterConfig, after: Sequence[str] = ()
) -> Submission:
    return Submission(
        experiment=experiment.name,
        runs=tuple(folder / point.name for point in points),
        shape=shape_of(points, cluster),
        cluster=cluster,
        folder=Path.cwd(),
        output=sweep_folder(folder),
        python=sys.executable,
        after=tuple(after),
    )
