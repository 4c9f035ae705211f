"""The scheduler's programs, called with a time limit; each of their errors has one message."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.experiment.errors import UserError

TIMEOUT_SECONDS = 60.0
_JOB_ID = re.compile(r"(?P<job>\d+)(?:;\S+)?")
_FIELDS = "%F|%K|%T|%j|%r"
"""Array job, index, state, job name, reason."""
_ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT"),
)
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_HELD = "Nothing will run: if `squeue --me` shows a new job on hold, remove it with scancel."


class SchedulerError(UserError):
    """The scheduler is missing, does not answer, or refuses."""


class SchedulerSilent(SchedulerError):
    """No answer in time; whether the command was carried out is not known."""


@dataclass(frozen=True)
class Task:
    """A task of a job array that the scheduler knows; it forgets those that ended some minutes ago."""

    job: str
    index: int
    state: str
    """PENDING, RUNNING, COMPLETING, CANCELLED, …."""
    name: str
    """The job's."""
    reason: str
    """Why it waits, in the scheduler's words."""

    @property
    def id(self) -> str:
        """`12_3`."""
        return f"{self.job}_{self.index}"

    @property
    def ended(self) -> bool:
        """Whether it is over for the scheduler."""
        return self.state in _ENDED

    @property
    def waits(self) -> bool:
        """Whether it has not started, or is to start again."""
        return self.state in _WAITING


@dataclass(frozen=True)
class JobState:
    """What `scontrol show job` tells a job about itself."""

    state: str = "UNKNOWN"
    restarts: int = 0
    timed_out: bool = False
    preempted: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether somebody took it out of the queue.

        A job that is being killed shows as COMPLETING while its script still runs; that it was the time limit or a
        preemption stands elsewhere.
        """
        return self.state in ("CANCELLED", "COMPLETING") and not (self.timed_out or self.preempted)


def submit(script: Path) -> str:
    """Submits a script on hold; returns the job's id.

    Raises:
        SchedulerError: it was not taken, or what came back is no job id.
    """
    try:
        answer = _call("sbatch", "--parsable", "--hold", str(script))
    except SchedulerSilent as error:
        raise SchedulerSilent(f"{error} {_HELD}") from None
    lines = answer.strip().splitlines()  # a site may print a greeting before
    match = _JOB_ID.fullmatch(lines[-1].strip()) if lines else None
    if match is None:
        raise SchedulerError(f"sbatch answered {answer.strip()[:200]!r} where a job id was expected. {_HELD}")
    return match["job"]


def release(job: str) -> None:
    """Lets a job on hold start."""
    _call("scontrol", "release", job)


def cancel(tasks: Sequence[str]) -> None:
    """Cancels jobs, or tasks such as `12_3`; running ones get a signal."""
    _call("scancel", *tasks)


def requeue(task: str) -> None:
    """Requeues a task. All of its processes are killed, this one too."""
    _call("scontrol", "requeue", task)


def tasks_of(jobs: Sequence[str]) -> list[Task]:
    """Tasks of these job arrays, as far as the scheduler knows them.

    Raises:
        SchedulerError: no answer, or not one that can be read.
    """
    if not jobs:
        return []
    try:
        answer = _call(
            "squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(jobs)}", f"--format={_FIELDS}"
        )
    except SchedulerError as error:
        if "Invalid job id" in str(error):  # ended so long ago that the scheduler has forgotten it
            return []
        raise
    return [_task(line) for line in answer.splitlines() if line.strip() and "|N/A|" not in line]


def _task(line: str) -> Task:
    fields = line.strip().split("|", 4)
    if len(fields) != 5 or not (fields[0].isdigit() and fields[1].isdigit()):
        raise SchedulerError(f"squeue answered {line.strip()[:200]!r} where the state of a job was expected.")
    return Task(fields[0], int(fields[1]), fields[2], fields[3], fields[4])


def state_of(job: str) -> JobState:
    """A job's state; UNKNOWN where the scheduler does not tell."""
    try:
        answer = _call("scontrol", "--oneliner", "show", "job", job)
    except SchedulerError:
        return JobState()
    fields = dict(part.partition("=")[::2] for part in answer.split())
    state, restarts = fields.get("JobState", "UNKNOWN"), fields.get("Restarts", "")
    return JobState(
        state=state,
        restarts=int(restarts) if restarts.isdigit() else 0,
        timed_out=state == "TIMEOUT" or fields.get("Reason") == "TimeLimit",
        preempted=state == "PREEMPTED" or fields.get("PreemptTime", "None") not in ("None", "N/A"),
    )


def _call(program: str, *arguments: str) -> str:
    try:
        # A session of its own: a site's wrapper may start further processes, which keep the pipes open.
        process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        reason = "is not on PATH" if isinstance(error, FileNotFoundError) else f"cannot be run ({error.strerror})"
        raise SchedulerError(
            f"{program} {reason}: go to a login node of the cluster, or load its module (`module load slurm`). "
            "On one machine: --launcher local."
        ) from None
    with process:
        try:
            out, said = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise SchedulerSilent(
                f"{program} gave no answer in {TIMEOUT_SECONDS:g} seconds; the scheduler is busy or down. "
                "Try again later."
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        said = (said.strip() or out.strip() or "it gave no reason")[-2000:]
        raise SchedulerError(f"{program} refused (status {process.returncode}): {said}")
    return out
