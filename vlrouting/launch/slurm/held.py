"""A job array that is queued on hold: it is written down before it can start, and taken back where that fails."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from vlrouting.experiment import RunDirectory, UserError, write_json_atomic, write_text_atomic
from vlrouting.launch.slurm import scheduler
from vlrouting.launch.slurm.records import Record, record_file, sweep_folder, unmark_cancelled, write_record
from vlrouting.launch.slurm.script import Submission, batch_script
from vlrouting.progress_bar import say


@dataclass(frozen=True)
class HeldJob:
    """What the scheduler has and does not start yet.

    Attributes:
        id: of the job array.
        before: run.json of each point before.
        files: script and record.
    """

    id: str
    before: dict[RunDirectory, dict[str, object]]
    files: tuple[Path, ...]

    def take_back(self) -> None:
        """Undo the submission as far as the scheduler and the disk let."""
        try:
            scheduler.cancel([self.id])
        except scheduler.SchedulerError as error:
            say(f"warning: job {self.id} is still there, on hold; remove it with `scancel {self.id}` ({error})")
        with suppress(OSError):
            for run, fields in self.before.items():
                write_json_atomic(run.run_json, fields)
            for file in self.files:
                file.unlink(missing_ok=True)


def hold(submission: Submission, names: Sequence[str], folder: Path) -> HeldJob:
    """Submit on hold, and write down what was submitted.

    Args:
        submission: the job array.
        names: of its points.
        folder: of their run directories.

    Raises:
        UserError: the scheduler refuses, or the disk does; nothing is left of it.
    """
    now = datetime.now(timezone.utc)
    script = sweep_folder(folder) / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.sbatch"
    write_text_atomic(script, batch_script(submission))
    try:
        id = scheduler.submit(script)
    except BaseException:
        script.unlink(missing_ok=True)
        raise
    runs = [RunDirectory(folder / name) for name in names]
    job = HeldJob(id, {run: run.read_run() for run in runs}, (script, record_file(folder, id)))
    record = Record(id, submission.job_name, now.isoformat(), tuple(names), submission.cluster.retries, script.name)
    try:
        write_record(folder, record)
        unmark_cancelled(folder, names)
        for run in runs:
            run.update_run(status="queued", error=None)
    except BaseException as error:
        job.take_back()
        if isinstance(error, OSError):
            where = error.filename or folder
            raise UserError(f"{error.strerror or error}: {where}; job {id} was taken back, nothing runs") from error
        raise
    return job
