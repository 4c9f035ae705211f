"""The state of every point of an experiment: from its run directory and, where it was submitted, the scheduler."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.config.names import counted
from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.progress import read_progress
from vlrouting.experiment.rundir import COMPLETE, UNREADABLE
from vlrouting.experiment.trials import TUNING
from vlrouting.launch.alive import local_launcher, lock_holder, log_tail
from vlrouting.launch.slurm.records import is_marked_cancelled, last_tasks, read_records
from vlrouting.launch.slurm.scheduler import SchedulerError, Task
from vlrouting.report.console import standard_output
from vlrouting.report.rows import NOT_STARTED, Row, collect

CUT_OFF = "cut off"
DIVERGED = "diverged"
"""Of a trial, which counts as the worst."""
LOG_LINES = 8
"""Of a failed point's log."""
SILENT_SECONDS = 300.0
"""A process on another machine that has written no progress for so long counts as dead."""
_STYLES = {"running": "cyan", "complete": "green", "failed": "red", UNREADABLE: "red", CUT_OFF: "yellow"}


@dataclass(frozen=True)
class PointStatus:
    """One line of the table."""

    name: str
    state: str
    """queued, running, complete, failed, cancelled, preempted, `cut off`, `not started`, unreadable; of a trial also
    diverged."""
    detail: str = ""


@dataclass(frozen=True)
class _Evidence:
    """What is known of a point beside its run.json.

    Attributes:
        task: the last that the scheduler knows.
        launcher: whether a local launcher works on the experiment.
        marked: whether `vlrouting cancel` was called.
        row: of the comparison table.
    """

    task: Task | None
    launcher: bool
    marked: bool
    row: Row | None

    @property
    def cancelled(self) -> bool:
        """Whether the user ended it, with `vlrouting cancel` or `scancel`."""
        return self.marked or (self.task is not None and self.task.state == "CANCELLED")


def show_status(
    experiment: str, names: Iterable[str], runs: Path, console: Console | None = None, *, trials: Iterable[str] = ()
) -> list[PointStatus]:
    """Print how far the tuning is, a table of all points, and below it the end of the logs of those that failed.

    Args:
        experiment: its name.
        names: the points of its file; those that have a run directory or were submitted are added.
        runs: folder of the run directories.
        console: where to print; standard output when not given.
        trials: those of its file.
    """
    console = console or standard_output()
    folder = runs / experiment
    tuning, silent = statuses(folder / TUNING, trials)
    open_trials = [shown for trial in tuning if (shown := _if_open(folder / TUNING, trial)) is not None]
    points, silent_too = statuses(folder, names)
    if any(trial.state != DIVERGED for trial in open_trials):
        points = [_waiting(point) for point in points]
    if tuning:
        complete = len(tuning) - len(open_trials)
        _plain(console, f"tuning: {complete} of {counted(len(tuning), 'trial')} complete")
    if open_trials:
        _show_table(console, "trial", open_trials)
    _show_table(console, "point", points)
    if silent := silent or silent_too:
        _plain(console, f"The queue is not known: {silent}")
    failed = [folder / TUNING / trial.name for trial in open_trials if trial.state == "failed"]
    for path in [*failed, *(folder / point.name for point in points if point.state == "failed")]:
        _show_log(console, RunDirectory(path))
    return points


def _if_open(folder: Path, trial: PointStatus) -> PointStatus | None:
    """A trial that is not complete, as it is shown; None for one that is."""
    if trial.state == "failed" and RunDirectory(folder / trial.name).has_diverged():
        return replace(trial, state=DIVERGED)
    return None if trial.state == COMPLETE else trial


def _waiting(point: PointStatus) -> PointStatus:
    """A point while there are trials that have not ended."""
    if point.state not in (NOT_STARTED, "queued"):
        return point
    return replace(point, detail="; ".join(filter(None, ("waits for the tuning", point.detail))))


def _show_table(console: Console, what: str, points: Sequence[PointStatus]) -> None:
    table = Table(box=SIMPLE_HEAD)
    for header in (what, "state", ""):
        table.add_column(header, overflow="fold")
    for point in points:
        # Text, not str: rich would read a bracket in a reason as markup.
        table.add_row(Text(point.name), Text(point.state, style=_STYLES.get(point.state, "")), Text(point.detail))
    console.print(table)


def statuses(folder: Path, names: Iterable[str]) -> tuple[list[PointStatus], str]:
    """Every point, and why the scheduler did not answer; empty when it did or was not asked."""
    tasks: Mapping[str, Task] = {}
    silent = ""
    try:
        tasks = last_tasks(folder)
    except SchedulerError as error:
        silent = str(error)
    rows = {row.variant: row for row in collect(folder)} if folder.is_dir() else {}
    submitted = [point for record in read_records(folder) for point in record.points]
    launcher = local_launcher(folder) is not None
    found = []
    for name in dict.fromkeys([*names, *submitted, *rows]):
        marked = is_marked_cancelled(folder, name)
        evidence = _Evidence(tasks.get(name), launcher, marked, rows.get(name))
        state, detail = _state(RunDirectory(folder / name), evidence, unknown=bool(silent))
        found.append(PointStatus(name, state, " ".join(detail.split())))
    return found, silent


def _state(run: RunDirectory, evidence: _Evidence, unknown: bool) -> tuple[str, str]:
    """State and detail; `unknown`: the scheduler could not be asked."""
    try:
        stored = run.read_run()
    except UserError as damage:
        return UNREADABLE, str(damage)
    status, error = str(stored.get("status") or NOT_STARTED), str(stored.get("error") or "")
    if status == COMPLETE:
        return _complete(evidence.row)
    if evidence.task is not None and not evidence.task.ended:
        return _in_queue(run, evidence.task, status, error)
    if status == "running":
        return _running(run) if _is_alive(run, unknown) else _gone(run, evidence, unknown)
    if status == "queued":
        return ("queued", error) if evidence.launcher or unknown else _gone(run, evidence, unknown)
    if status == "preempted":
        if evidence.cancelled:
            return "cancelled", _at_step(run)
        return status, f"{_at_step(run)}; not in the queue: the same command again resumes it".removeprefix("; ")
    return status, _at_step(run) if status == "cancelled" else error


def _complete(row: Row | None) -> tuple[str, str]:
    if row is None or not row.complete:
        return UNREADABLE, row.reason if row is not None else ""
    return COMPLETE, row.reason if row.main is None else f"{row.metric_name} {row.main:.2f}"


def _in_queue(run: RunDirectory, task: Task, status: str, error: str) -> tuple[str, str]:
    """Of a point that the scheduler knows."""
    if task.waits:
        waiting = f"{task.id}: {task.reason}"
        if status == "preempted":
            return status, ", ".join(filter(None, (_at_step(run), f"queued again as {waiting}")))
        return "queued", f"{waiting}; {error}" if error else waiting
    if status == "running":
        return _running(run, task.id)
    return "running", f"{task.id}: {'starting' if task.state in ('RUNNING', 'CONFIGURING') else task.state.lower()}"


def _running(run: RunDirectory, task: str = "") -> tuple[str, str]:
    progress = str(read_progress(run.progress) or "starting").replace("training ", "step ", 1)
    return "running", ": ".join(filter(None, (task, progress)))


def _gone(run: RunDirectory, evidence: _Evidence, unknown: bool) -> tuple[str, str]:
    """Of a point that runs according to run.json, though no process works on it."""
    if evidence.cancelled:
        return "cancelled", _at_step(run)
    whom = "no living process holds it" if unknown else "neither queued nor held by a living process"
    if evidence.task is not None:
        whom = f"the scheduler ended {evidence.task.id}: {evidence.task.state}"
    return CUT_OFF, "; ".join(filter(None, (_at_step(run), f"{whom}: the same command again resumes it")))


def _at_step(run: RunDirectory) -> str:
    progress = read_progress(run.progress)
    if progress is None or progress.phase != "training":
        return ""
    return f"at step {progress.step}/{progress.total}"


def _is_alive(run: RunDirectory, unknown: bool) -> bool:
    """Whether a process works on a point that no scheduler knows."""
    holder = lock_holder(run)
    if holder is None:
        return False
    if holder.is_alive is not None:
        return holder.is_alive
    progress = read_progress(run.progress)
    recent = progress is not None and time.time() - progress.updated < SILENT_SECONDS
    return recent or unknown


def _show_log(console: Console, run: RunDirectory) -> None:
    if lines := log_tail(run.log, LOG_LINES):
        _plain(console, "\n  ".join([f"{run.log}:", *lines]))


def _plain(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)
