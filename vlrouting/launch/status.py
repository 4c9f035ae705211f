"""The state of every point of an experiment: from its run directory and, where it was submitted, the scheduler."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.progress import read_progress
from vlrouting.experiment.rundir import COMPLETE, UNREADABLE
from vlrouting.launch.alive import local_launcher, lock_holder, log_tail
from vlrouting.launch.slurm.records import is_marked_cancelled, last_tasks, read_records
from vlrouting.launch.slurm.scheduler import SchedulerError, Task
from vlrouting.report.console import standard_output
from vlrouting.report.rows import NOT_STARTED, Row, collect

CUT_OFF = "cut off"
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
    """queued, running, complete, failed, cancelled, preempted, `cut off`, `not started`, unreadable."""
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


def show_status(experiment: str, names: Iterable[str], runs: Path, console: Console | None = None) -> list[PointStatus]:
    """Print a table of all points, and below it the end of the logs of those that failed.

    Args:
        experiment: its name.
        names: the points of its file; those that have a run directory or were submitted are added.
        runs: folder of the run directories.
        console: where to print; standard output when not given.
    """
    console = console or standard_output()
    folder = runs / experiment
    points, silent = statuses(folder, names)
    table = Table(box=SIMPLE_HEAD)
    for header in ("point", "state", ""):
        table.add_column(header, overflow="fold")
    for point in points:
        # Text, not str: rich would read a bracket in a reason as markup.
        table.add_row(Text(point.name), Text(point.state, style=_STYLES.get(point.state, "")), Text(point.detail))
    console.print(table)
    if silent:
        _plain(console, f"The queue is not known: {silent}")
    for point in points:
        if point.state == "failed":
            _show_log(console, RunDirectory(folder / point.name))
    return points


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
