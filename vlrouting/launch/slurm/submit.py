"""A sweep handed to SLURM: either all of it is written down and queued, or nothing is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from vlrouting.config.cluster import ClusterConfig
from vlrouting.config.names import counted
from vlrouting.experiment import (
    Experiment,
    Point,
    RunDirectory,
    UserError,
    to_yaml,
    write_json_atomic,
    write_text_atomic,
)
from vlrouting.launch.alive import local_launcher
from vlrouting.launch.open_points import still_open
from vlrouting.launch.slurm import scheduler
from vlrouting.launch.slurm.records import (
    Record,
    active_tasks,
    alone,
    record_file,
    sweep_folder,
    unmark_cancelled,
    write_record,
)
from vlrouting.launch.slurm.script import Submission, batch_script, shape_of
from vlrouting.progress_bar import say


def submit(
    experiment: Experiment, points: Sequence[Point], runs: Path, cluster: ClusterConfig, *, dry_run: bool = False
) -> str | None:
    """Queue every point that is neither complete nor queued already, as one job array.

    Args:
        experiment: validated.
        points: of it.
        runs: folder of the run directories.
        cluster: settings of the scheduler.
        dry_run: print the script; nothing is written, and no scheduler asked. Where every point is complete, the script
            is that of all points.

    Returns:
        The job's id; None when every point is complete, and of a dry run.

    Raises:
        UserError: the scheduler is absent or refuses, every point that is left is queued or running already, a
            directory holds a run with other settings or is in use, the points differ in what they need.
    """
    folder = runs / experiment.name
    if dry_run:
        waiting = still_open(experiment, points, runs)
        if not waiting:
            say("every point is complete, so nothing would be submitted; the script if they were not:")
        print(batch_script(_submission(experiment, waiting or list(points), folder, cluster)), end="")
        return None
    if (launcher := local_launcher(folder)) is not None:
        raise UserError(f"{experiment.name} runs already as a local sweep (process {launcher.pid} on {launcher.host})")
    with alone(folder):
        waiting = _without_active(still_open(experiment, points, runs), folder)
        if not waiting:
            return None
        submission = _submission(experiment, waiting, folder, cluster)
        text = batch_script(submission)
        for point in waiting:
            run = RunDirectory(folder / point.name)
            with run.lock():
                run.prepare(to_yaml(point.config))
                run.update_run(swept=experiment.swept(point))
        job = _queue(submission, text, [point.name for point in waiting], folder)
    say(f"job {job}: {counted(len(waiting), 'point')} queued; status: `vlrouting status {experiment.name}`")
    return job


def _without_active(points: list[Point], folder: Path) -> list[Point]:
    """Those that the scheduler does not know yet."""
    active = active_tasks(folder)
    known = [f"{point.name} ({active[point.name].id})" for point in points if point.name in active]
    if known and len(known) == len(points):
        raise UserError(
            f"nothing to submit: queued or running already: {', '.join(known)}. Look with `vlrouting status "
            f"{folder.name}`, end them with `vlrouting cancel {folder.name}`."
        )
    if known:
        say(f"queued or running already: {', '.join(known)}")
    return [point for point in points if point.name not in active]


def _submission(experiment: Experiment, points: list[Point], folder: Path, cluster: ClusterConfig) -> Submission:
    return Submission(
        experiment=experiment.name,
        runs=tuple(folder / point.name for point in points),
        shape=shape_of(points, cluster),
        cluster=cluster,
        folder=Path.cwd(),
        output=sweep_folder(folder),
        python=sys.executable,
    )


def _queue(submission: Submission, text: str, names: list[str], folder: Path) -> str:
    """Submit on hold, write down what was submitted, and only then let it start."""
    now = datetime.now(timezone.utc)
    script = sweep_folder(folder) / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.sbatch"
    write_text_atomic(script, text)
    try:
        job = scheduler.submit(script)
    except BaseException:
        script.unlink(missing_ok=True)
        raise
    runs = [RunDirectory(folder / name) for name in names]
    before = {run: run.read_run() for run in runs}
    record = Record(job, submission.job_name, now.isoformat(), tuple(names), submission.cluster.retries, script.name)
    try:
        write_record(folder, record)
        unmark_cancelled(folder, names)
        for run in runs:
            run.update_run(status="queued", error=None)
        scheduler.release(job)
    except BaseException as error:
        _take_back(job, before, [script, record_file(folder, job)])
        if isinstance(error, OSError):
            where = error.filename or folder
            raise UserError(f"{error.strerror or error}: {where}; job {job} was taken back, nothing runs") from error
        raise
    return job


def _take_back(job: str, before: dict[RunDirectory, dict[str, object]], files: list[Path]) -> None:
    """Undo a submission as far as the scheduler and the disk let."""
    try:
        scheduler.cancel([job])
    except scheduler.SchedulerError as error:
        say(f"warning: job {job} is still there, on hold; remove it with `scancel {job}` ({error})")
    with suppress(OSError):
        for run, fields in before.items():
            write_json_atomic(run.run_json, fields)
        for file in files:
            file.unlink(missing_ok=True)
