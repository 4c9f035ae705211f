"""Records of submissions in `runs/<experiment>/.sweep/`: the job's id, and which task is which point."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from vlrouting.experiment import UserError, write_json_atomic
from vlrouting.launch.slurm.scheduler import Task, tasks_of

SWEEP_FOLDER = ".sweep"


@dataclass(frozen=True)
class Record:
    """One submission.

    Attributes:
        job: id of the job array.
        name: the job's name; id and name together are unique over clusters.
        submitted: time in ISO 8601.
        points: in the order of the array.
        retries: of the cluster file.
        script: file name.
    """

    job: str
    name: str
    submitted: str
    points: tuple[str, ...]
    retries: int
    script: str


def sweep_folder(experiment_runs: Path) -> Path:
    """`runs/<experiment>/.sweep/`."""
    return experiment_runs / SWEEP_FOLDER


def record_file(experiment_runs: Path, job: str) -> Path:
    """Where the record of a job stands."""
    return sweep_folder(experiment_runs) / f"slurm-{job}.json"


def write_record(experiment_runs: Path, record: Record) -> None:
    """Write it whole."""
    write_json_atomic(record_file(experiment_runs, record.job), asdict(record))


def read_record(experiment_runs: Path, job: str) -> Record | None:
    """The record of a job; None when there is none that can be read."""
    return _read(record_file(experiment_runs, job))


def read_records(experiment_runs: Path) -> list[Record]:
    """All submissions, the oldest first."""
    found = [_read(path) for path in sweep_folder(experiment_runs).glob("slurm-*.json")]
    return sorted((record for record in found if record is not None), key=lambda record: record.submitted)


def last_tasks(experiment_runs: Path) -> dict[str, Task]:
    """Point name -> its task in the last submission that the scheduler knows.

    Raises:
        SchedulerError: there were submissions, and the scheduler does not tell.
    """
    records = read_records(experiment_runs)
    known = {(task.job, task.index): task for task in tasks_of([record.job for record in records])}
    last: dict[str, Task] = {}
    for record in records:
        for index, point in enumerate(record.points):
            task = known.get((record.job, index))
            if task is None or task.name != record.name:
                continue
            if point not in last or last[point].ended or not task.ended:
                last[point] = task
    return last


def active_tasks(experiment_runs: Path) -> dict[str, Task]:
    """Point name -> the task that waits or runs for it.

    Raises:
        SchedulerError: there were submissions, and the scheduler does not tell.
    """
    return {point: task for point, task in last_tasks(experiment_runs).items() if not task.ended}


def mark_cancelled(experiment_runs: Path, points: Iterable[str]) -> None:
    """Record that the user wants these points to end: a job cannot tell who sent it a signal."""
    for point in points:
        mark = _mark(experiment_runs, point)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def unmark_cancelled(experiment_runs: Path, points: Iterable[str]) -> None:
    """The user wants them again."""
    for point in points:
        _mark(experiment_runs, point).unlink(missing_ok=True)


def is_marked_cancelled(experiment_runs: Path, point: str) -> bool:
    """Whether the user wanted the point to end."""
    return _mark(experiment_runs, point).exists()


@contextmanager
def alone(experiment_runs: Path) -> Iterator[None]:
    """One submission at a time: two at once would both find the points open.

    Raises:
        UserError: another one is under way.
    """
    folder = sweep_folder(experiment_runs)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{experiment_runs}: another submission of this experiment is under way") from None
    try:
        yield
    finally:
        lock.release()


def _mark(experiment_runs: Path, point: str) -> Path:
    return sweep_folder(experiment_runs) / "cancelled" / point


def _read(path: Path) -> Record | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Record(**{**fields, "points": tuple(fields["points"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
