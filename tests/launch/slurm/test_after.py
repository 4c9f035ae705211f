"""What becomes of a point when srun has ended: done, back to the queue, or given up with a reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.launch.slurm.conftest import complete
from tests.launch.slurm.fake_scheduler import FakeScheduler
from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.experiment.attempts import Attempt, Attempts
from vlrouting.launch.slurm.after import FRUITLESS_PREEMPTIONS, Decision, Ended, after, decide
from vlrouting.launch.slurm.records import Record, mark_cancelled, write_record
from vlrouting.launch.slurm.scheduler import JobState

REPOSITORY = Path(__file__).parents[3]
JOB = "7_1"
ENVIRONMENT = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_ID": "9"}
FOLDER = Path("runs/x")


@pytest.fixture
def run(experiment: Experiment, fake: FakeScheduler) -> RunDirectory:
    """A point that was running; the scheduler says that its job still is."""
    fake.works()
    at(fake, "RUNNING")
    run = RunDirectory(FOLDER / "routing=mul")
    run.update_run(status="running", error=None)
    write_record(FOLDER, Record("7", "vlrouting-x", "now", ("routing=none", "routing=mul"), 3, "s.sbatch"))
    return run


def at(fake: FakeScheduler, state: str, restarts: int = 0, reason: str = "None") -> None:
    fake.answer("scontrol", f"JobId=9 JobState={state} Reason={reason} Restarts={restarts} PreemptTime=None\n")


def attempt(run: RunDirectory, outcome: str | None, step: int = 5, first: int = 0, reason: str = "") -> None:
    """One that this job began; without an outcome no end was written."""
    attempts = Attempts(run.attempts)
    attempts.begin("n1", JOB)
    attempts.resume(first)
    if outcome is not None:
        attempts.end(outcome, step, reason)


def requeued(fake: FakeScheduler) -> bool:
    return f"requeue {JOB}" in fake.called("scontrol")


def stored(run: RunDirectory) -> tuple[object, object]:
    fields = run.read_run()
    return fields["status"], fields["error"]


def test_complete(experiment: Experiment, fake: FakeScheduler) -> None:
    at(fake, "RUNNING")
    run = complete(experiment, "routing=mul")
    for status in (0, 137):  # a process that dies while it ends has done its work all the same
        assert after(run.path, status, 0, ENVIRONMENT) == 0
    assert not requeued(fake) and run.is_complete() and not run.attempts.exists()


def test_preempted_goes_back(run: RunDirectory, fake: FakeScheduler) -> None:
    attempt(run, "preempted")
    run.update_run(status="preempted")
    assert after(run.path, 75, 0, ENVIRONMENT) == 75
    assert requeued(fake)
    assert stored(run) == ("preempted", None)


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGUSR1])
def test_a_notice_before_there_is_a_handler(run: RunDirectory, fake: FakeScheduler, number: int) -> None:
    """The notice comes while torch is imported: before the attempt was written down, and after."""
    after(run.path, 128 + number, 0, ENVIRONMENT)
    attempt(run, None)
    after(run.path, 128 + number, 1, ENVIRONMENT)
    assert [a.outcome for a in Attempts(run.attempts).read()] == ["preempted", "preempted"]
    assert fake.called("scontrol").count(f"requeue {JOB}") == 2
    assert run.status() == "preempted"


def test_saved_while_another_process_was_ended(run: RunDirectory, fake: FakeScheduler) -> None:
    attempt(run, "preempted")
    run.update_run(status="preempted")
    after(run.path, 143, 0, ENVIRONMENT)
    assert requeued(fake) and run.status() == "preempted"


def test_a_failure_is_tried_again(run: RunDirectory, fake: FakeScheduler) -> None:
    attempt(run, "failed", 5, reason="ValueError: boom")
    run.update_run(status="failed", error="ValueError: boom")
    assert after(run.path, 1, 0, ENVIRONMENT) == 1
    assert requeued(fake)
    assert stored(run) == ("queued", "started again after: ValueError: boom")


def test_a_failure_at_the_same_step_is_given_up(run: RunDirectory, fake: FakeScheduler) -> None:
    for _ in range(2):
        attempt(run, "failed", 5, reason="ValueError: boom")
    after(run.path, 1, 1, ENVIRONMENT)
    assert not requeued(fake)
    assert stored(run) == ("failed", "failed twice at step 5: ValueError: boom")


def test_a_mistake_is_not_tried_again(run: RunDirectory, fake: FakeScheduler) -> None:
    attempt(run, "failed", 0, reason="data/x.json is missing")
    after(run.path, 2, 0, ENVIRONMENT)
    assert not requeued(fake)
    assert stored(run) == ("failed", "data/x.json is missing")


def test_a_mistake_before_the_attempt_is_read_from_the_log(run: RunDirectory, fake: FakeScheduler) -> None:
    run.log.write_text("== start 1\nvlrouting: config.yaml:3: lr: wrong\nsrun: error: n1: task 0: Exited with 2\n")
    after(run.path, 2, 0, ENVIRONMENT)
    assert stored(run) == ("failed", "config.yaml:3: lr: wrong")


def test_what_never_began_is_not_started_for_ever(run: RunDirectory, fake: FakeScheduler) -> None:
    run.log.write_text("an old line\n== start 1\nset-up failed with status 1: module load x\n")
    reason = "ended with status 1 before the training started: set-up failed with status 1: module load x"
    after(run.path, 1, 0, ENVIRONMENT)
    assert stored(run) == ("queued", f"started again after: {reason}")
    after(run.path, 1, 1, ENVIRONMENT)
    assert stored(run) == ("failed", f"failed twice at step 0: {reason}")
    run.log.write_text("an old line\n== start 3\nsrun: error: it is over\n")
    after(run.path, 127, 2, ENVIRONMENT)
    assert "it printed nothing" in Attempts(run.attempts).read()[-1].reason


def test_a_kill_leaves_no_run_that_says_running(run: RunDirectory, fake: FakeScheduler) -> None:
    attempt(run, None)
    assert after(run.path, 137, 0, ENVIRONMENT) == 137
    assert requeued(fake)
    assert stored(run) == ("queued", "started again after: ended with status 137 (SIGKILL)")


def test_a_process_that_dies_beside_one_that_saves_counts(run: RunDirectory, fake: FakeScheduler) -> None:
    """Else a rank that runs out of memory each time would be started for ever."""
    for before in range(3):
        attempt(run, "preempted")
        run.update_run(status="preempted")
        after(run.path, 137, before, ENVIRONMENT)
    assert fake.called("scontrol").count(f"requeue {JOB}") == 2
    assert run.status() == "failed"
    assert "killed 3 times in a row without getting from step 0" in str(run.read_run()["error"])


def test_the_retries_of_the_cluster_file(run: RunDirectory, fake: FakeScheduler) -> None:
    write_record(FOLDER, Record("7", "vlrouting-x", "now", ("routing=none", "routing=mul"), 0, "s.sbatch"))
    attempt(run, None)
    after(run.path, 137, 0, ENVIRONMENT)
    assert not requeued(fake)
    assert "more than the 0 retries allowed" in str(run.read_run()["error"])


def test_attempts_of_an_earlier_submission_do_not_count(run: RunDirectory, fake: FakeScheduler) -> None:
    for _ in range(4):
        Attempts(run.attempts).begin("n1", "3_1")
        Attempts(run.attempts).end("failed", 5, "boom")
    attempt(run, "failed", 5, reason="boom")
    after(run.path, 1, 4, ENVIRONMENT)
    assert requeued(fake)


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING"])
def test_cancelled_by_the_scheduler(run: RunDirectory, fake: FakeScheduler, state: str) -> None:
    at(fake, state)
    attempt(run, "preempted")
    run.update_run(status="preempted")
    after(run.path, 75, 0, ENVIRONMENT)
    assert not requeued(fake)
    assert run.status() == "cancelled"


def test_cancelled_by_vlrouting(run: RunDirectory, fake: FakeScheduler) -> None:
    mark_cancelled(FOLDER, ["routing=mul"])
    attempt(run, "preempted")
    after(run.path, 75, 0, ENVIRONMENT)
    assert not requeued(fake) and run.status() == "cancelled"


def test_the_time_limit_is_no_cancellation(run: RunDirectory, fake: FakeScheduler) -> None:
    at(fake, "COMPLETING", reason="TimeLimit")
    attempt(run, "preempted")
    after(run.path, 75, 0, ENVIRONMENT)
    assert requeued(fake) and run.status() == "preempted"


@pytest.mark.parametrize(
    ("state", "expected"), [("PENDING", "preempted"), ("COMPLETING", "preempted"), ("RUNNING", "running")]
)
def test_what_the_scheduler_has_put_back_is_left_alone(
    run: RunDirectory, fake: FakeScheduler, state: str, expected: str
) -> None:
    """RUNNING: the next start is under way, on other nodes, and run.json is its own."""
    at(fake, state, restarts=1)
    attempt(run, None)
    after(run.path, 143, 0, ENVIRONMENT)
    assert not requeued(fake)
    assert run.status() == expected
    # What the scheduler does is nobody's failure; of a start that is under way it is too early to say.
    assert Attempts(run.attempts).read()[-1].outcome == ("killed" if state == "RUNNING" else "preempted")


def test_a_later_start_knows_how_often_there_were_restarts(run: RunDirectory, fake: FakeScheduler) -> None:
    at(fake, "RUNNING", restarts=1)
    attempt(run, "preempted")
    after(run.path, 75, 0, {**ENVIRONMENT, "SLURM_RESTART_COUNT": "1"})
    assert requeued(fake)


def test_a_scheduler_that_does_not_put_it_back(run: RunDirectory, fake: FakeScheduler) -> None:
    fake.answer("scontrol", status=1, error="Requested operation is presently disabled\n")
    attempt(run, "preempted")
    run.update_run(status="preempted")
    assert after(run.path, 75, 0, ENVIRONMENT) == 75
    status, error = stored(run)
    assert status == "preempted" and "could not be requeued: scontrol refused" in str(error)
    attempt(run, "failed", 9, reason="boom")
    after(run.path, 1, 1, ENVIRONMENT)
    assert run.status() == "failed"


FACTS = Ended(75, [Attempt("", "n1", JOB, 5, "preempted", 5)], "preempted", False, JobState("RUNNING"), 0, False)


def test_preemptions_that_lead_nowhere_end() -> None:
    one = FACTS.attempts[0]
    almost = replace(FACTS, attempts=[one] * (FRUITLESS_PREEMPTIONS - 1))
    assert decide(almost, 3) == Decision("preempted", requeue=True)
    enough = replace(FACTS, attempts=[one] * FRUITLESS_PREEMPTIONS)
    assert not decide(enough, 3).requeue and "without getting past step 5" in str(decide(enough, 3).reason)
    moving = replace(FACTS, attempts=[one] * (FRUITLESS_PREEMPTIONS - 1) + [replace(one, last_step=6)])
    assert decide(moving, 3).requeue


def test_a_run_that_diverged_would_diverge_again() -> None:
    failed = replace(
        FACTS, status=1, attempts=[Attempt("", "n1", JOB, 0, "failed", 3, "the loss is nan")], stored="failed"
    )
    assert decide(failed, 3).requeue
    assert decide(replace(failed, diverged=True), 3) == Decision("failed", "the loss is nan")


def test_as_the_script_calls_it_without_torch(run: RunDirectory, fake: FakeScheduler) -> None:
    attempt(run, "preempted")
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "vlrouting.launch.slurm.after", str(run.path), "75", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 75, done.stderr
    assert requeued(fake)
    assert done.stderr == "-- srun ended with status 75: preempted\n"


def test_login_nodes_need_no_torch() -> None:
    code = """
import sys
import vlrouting.launch.cancel, vlrouting.launch.slurm.after, vlrouting.launch.slurm.submit, vlrouting.launch.status
heavy = {"torch", "lightning", "transformers", "timm", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=60)
