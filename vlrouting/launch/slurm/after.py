"""Decides about a point when srun has ended: `python -m vlrouting.launch.slurm.after RUN STATUS ATTEMPTS_BEFORE`.

The batch script runs it when no process of the point runs any more. Imports no torch.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config.cluster import ClusterConfig
from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.attempts import FAILED, KILLED, PREEMPTED, Attempt, Attempts, why_not_again
from vlrouting.experiment.exit_status import ExitStatus
from vlrouting.experiment.rundir import COMPLETE
from vlrouting.launch.alive import log_tail
from vlrouting.launch.slurm import scheduler
from vlrouting.launch.slurm.records import is_marked_cancelled, read_record
from vlrouting.launch.slurm.scheduler import JobState
from vlrouting.training.process_rank import scheduler_job

EARLY_NOTICE_STATUSES = (128 + signal.SIGUSR2, 128 + signal.SIGUSR1)
"""Of a process that got the notice before it had a handler. Scripts of earlier versions send SIGUSR1."""
FRUITLESS_PREEMPTIONS = 5
"""So many in a row without one more step: another start would only take the nodes from others."""

START_OF_LOG = "== "
"""Prefix of the batch script's first line in the log."""
OTHER_PROGRAMS = ("srun: ", "slurmstepd", "-- ")
"""Prefixes of lines in a log that tell only that something ended, not why."""


@dataclass(frozen=True)
class Ended:
    """One start of a point that has ended.

    Attributes:
        status: of srun: the highest of all processes; 128 + n where signal n killed one.
        attempts: of this job; the last one has just ended.
        stored: the status in run.json.
        complete: whether the run is.
        job: what the scheduler tells of it.
        restarts: number of the scheduler's restarts before this start.
        marked: whether `vlrouting cancel` was called.
        diverged: whether its numbers were no longer finite.
    """

    status: int
    attempts: list[Attempt]
    stored: str
    complete: bool
    job: JobState
    restarts: int
    marked: bool
    diverged: bool = False


@dataclass(frozen=True)
class Decision:
    """Status and reason for run.json (None changes neither), and whether the job goes back to the queue."""

    status: str | None
    reason: str | None = None
    requeue: bool = False


def decide(ended: Ended, retries: int) -> Decision:
    """Whether the point goes back to the queue.

    Args:
        ended: what happened.
        retries: number of failures and deaths after which the point is started again.
    """
    job = ended.job
    if ended.complete:
        return Decision(None)
    if job.restarts > ended.restarts:  # the scheduler has requeued it itself; it may be running again
        return Decision(None if job.state == "RUNNING" or ended.stored != "running" else PREEMPTED)
    if ended.marked or job.cancelled or ended.stored == "cancelled":
        return Decision("cancelled", "cancelled")
    last = ended.attempts[-1]
    if ended.status == ExitStatus.USER_ERROR:
        return Decision(FAILED, last.reason or "an error in the experiment or on this machine; see the log")
    if ended.diverged and last.outcome == FAILED:  # it would diverge again
        return Decision(FAILED, last.reason)
    if last.outcome == PREEMPTED:
        if _fruitless(ended.attempts):
            return Decision(
                FAILED,
                f"preempted {FRUITLESS_PREEMPTIONS} times in a row without getting past step {last.first_step}: "
                "a start and one step take longer than the time limit allows; raise `time` in the cluster file",
            )
        return Decision(PREEMPTED, requeue=True)
    why_not = why_not_again(ended.attempts, retries)
    if why_not is None:
        return Decision("queued", f"started again after: {last.reason or KILLED}", requeue=True)
    return Decision(FAILED, why_not)


def _fruitless(attempts: list[Attempt]) -> bool:
    recent = attempts[-FRUITLESS_PREEMPTIONS:]
    return len(recent) == FRUITLESS_PREEMPTIONS and all(
        attempt.outcome == PREEMPTED and (attempt.last_step or 0) <= attempt.first_step for attempt in recent
    )


def note_end(run: RunDirectory, status: int, earlier: int, job: str | None) -> None:
    """Record what the point's processes could not: that they never started, or were killed.

    Args:
        run: the point's.
        status: of srun.
        earlier: number of attempts before this start.
        job: the scheduler's id of it.
    """
    attempts = Attempts(run.attempts)
    known = attempts.read()
    early = status in (ExitStatus.PREEMPTED, *EARLY_NOTICE_STATUSES)
    if len(known) <= earlier:
        reason = _last_line(run).removeprefix("vlrouting: ")
        if status != ExitStatus.USER_ERROR:
            reason = f"ended with status {_spelled(status)} before the training started: {reason}"
        attempts.begin(socket.gethostname(), job)
        attempts.end(PREEMPTED if early else FAILED, 0, "" if early else reason)
    elif status in EARLY_NOTICE_STATUSES and known[-1].outcome == KILLED:
        attempts.end(PREEMPTED, known[-1].first_step)
    elif status == 128 + signal.SIGTERM and known[-1].outcome == PREEMPTED:
        pass  # one process got TERM before it had a handler, and another one has saved
    elif known[-1].outcome in (KILLED, PREEMPTED, COMPLETE) and not early:
        # The first process may have saved while another one died.
        attempts.end(KILLED, known[-1].last_step, f"ended with status {_spelled(status)}")


def _last_line(run: RunDirectory) -> str:
    for line in reversed(log_tail(run.log, 20)):
        if line.startswith(START_OF_LOG):
            break
        if not line.startswith(OTHER_PROGRAMS):
            return line
    return "it printed nothing"


def _spelled(status: int) -> str:
    """`137 (SIGKILL)`."""
    try:
        return f"{status} ({signal.Signals(status - 128).name})" if status > 128 else str(status)
    except ValueError:
        return str(status)


def after(directory: Path, status: int, earlier: int, environment: Mapping[str, str] = os.environ) -> int:
    """Decide, write the decision into run.json, and requeue the job where that was decided.

    Returns:
        Exit status for the batch script: 0 where the point is complete.
    """
    run, folder = RunDirectory(directory), directory.parent
    name = scheduler_job(environment)
    restarts = int(environment.get("SLURM_RESTART_COUNT") or 0)
    job = scheduler.state_of(environment.get("SLURM_JOB_ID", ""))
    complete = run.is_complete()
    attempts = Attempts(run.attempts)
    if not complete and job.restarts <= restarts:
        note_end(run, status, earlier, name)
    elif not complete and job.state != "RUNNING":
        new = attempts.read()[earlier:]
        if new and new[-1].outcome == KILLED:  # the scheduler requeued the job before the point could save: no failure
            attempts.end(PREEMPTED, new[-1].first_step)
    own = [attempt for attempt in attempts.read() if attempt.job == name]
    marked = is_marked_cancelled(folder, run.path.name)
    ended = Ended(status, own, run.status() or "", complete, job, restarts, marked, run.has_diverged())
    record = read_record(folder, environment.get("SLURM_ARRAY_JOB_ID", ""))
    decision = decide(ended, record.retries if record is not None else ClusterConfig().retries)
    if decision.status is not None:
        run.update_run(status=decision.status, error=decision.reason)
    parts = (f"-- srun ended with status {status}", decision.status or ended.stored, decision.reason)
    print(": ".join(filter(None, parts)), file=sys.stderr, flush=True)
    if decision.requeue and name is not None:
        _requeue(run, name, restarts, environment.get("SLURM_JOB_ID", ""))
    return 0 if complete else (status or 1)


def _requeue(run: RunDirectory, name: str, restarts: int, job: str) -> None:
    try:
        scheduler.requeue(name)
    except UserError as error:
        if scheduler.state_of(job).restarts > restarts:  # the scheduler has done it itself
            return
        stored = run.read_run()
        status = PREEMPTED if stored.get("status") == PREEMPTED else FAILED
        run.update_run(status=status, error=f"could not be requeued: {error}; submit it again")
        print(f"-- {error}", file=sys.stderr, flush=True)


def main() -> None:
    """Entry point."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if len(sys.argv) != 4:
        print("usage: python -m vlrouting.launch.slurm.after RUN_DIRECTORY STATUS ATTEMPTS_BEFORE", file=sys.stderr)
        raise SystemExit(int(ExitStatus.USER_ERROR))
    raise SystemExit(after(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))


if __name__ == "__main__":
    main()
