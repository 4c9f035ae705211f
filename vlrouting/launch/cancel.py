"""Ends the points of an experiment that run or wait, on a cluster or on this machine. What was saved is kept."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.trials import TUNING
from vlrouting.launch.alive import HostProcess, local_launcher
from vlrouting.launch.slurm import scheduler
from vlrouting.launch.slurm.records import active_tasks, mark_cancelled, unmark_cancelled
from vlrouting.launch.slurm.scheduler import Task
from vlrouting.progress_bar import say

WAIT_SECONDS = 60.0
"""For running points to save and end."""
POLL_SECONDS = 1.0


def cancel(folder: Path, names: Sequence[str] | None = None) -> list[str]:
    """End the points of `runs/<experiment>/` that wait or run, and the trials of its tuning.

    Args:
        folder: the experiment's runs.
        names: of the points and trials to cancel; default: all.

    Returns:
        Names of what was cancelled.

    Raises:
        UserError: a named point neither waits nor runs, the scheduler does not answer, a local sweep runs on another
            machine or is asked to end in part.
    """
    launcher = local_launcher(folder)
    if launcher is not None:
        return _stop_local(launcher, folder, names)
    # The points first: they must not start because the trials have ended.
    phases = {phase: active_tasks(phase) for phase in (folder, folder / TUNING)}
    active = [name for tasks in phases.values() for name in tasks]
    if unknown := [name for name in names or () if name not in active]:
        what = f" What is: {', '.join(active)}." if active else ""
        raise UserError(f"neither queued nor running: {', '.join(unknown)}.{what}")
    chosen = {
        phase: {name: task for name, task in tasks.items() if names is None or name in names}
        for phase, tasks in phases.items()
    }
    for phase, tasks in chosen.items():
        _cancel_tasks(phase, tasks)
    for phase, tasks in chosen.items():
        left = _wait_for_end(phase, list(tasks))
        for name in tasks:
            run = RunDirectory(phase / name)
            if name not in left and run.status() != "complete":
                run.update_run(status="cancelled", error="cancelled")
        if left:
            say(f"still saving: {', '.join(left)}; look again with `vlrouting status {folder.name}`")
    return [name for tasks in chosen.values() for name in tasks]


def _cancel_tasks(folder: Path, tasks: Mapping[str, Task]) -> None:
    if not tasks:
        return
    mark_cancelled(folder, tasks)  # before the signal: the job looks for the mark when it stops
    try:
        scheduler.cancel([task.id for task in tasks.values()])
    except UserError:
        unmark_cancelled(folder, tasks)
        raise


def _wait_for_end(folder: Path, names: list[str]) -> list[str]:
    """Names of those that have not ended after WAIT_SECONDS."""
    end = time.monotonic() + WAIT_SECONDS
    while names:
        tasks = active_tasks(folder)
        left = [name for name in names if name in tasks]
        if not left or time.monotonic() > end:
            return left
        time.sleep(POLL_SECONDS)
    return []


def _stop_local(launcher: HostProcess, folder: Path, names: Sequence[str] | None) -> list[str]:
    if names:
        raise UserError(f"{folder.name} runs on this machine as one sweep, which ends as a whole: leave --point out")
    if not launcher.is_local:
        raise UserError(f"{folder.name} runs on {launcher.host} (process {launcher.pid}): type this there")
    os.kill(launcher.pid, signal.SIGTERM)
    return [f"the sweep of process {launcher.pid}, which saves and ends"]
