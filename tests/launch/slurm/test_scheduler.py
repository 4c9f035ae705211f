"""What the scheduler's programs may answer, and that each of it is one sentence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.launch.slurm.fake_scheduler import PENDING, FakeScheduler
from vlrouting.experiment import UserError
from vlrouting.launch.slurm import scheduler
from vlrouting.launch.slurm.scheduler import JobState, Task

SCRIPT = Path("x.sbatch")
SHOWN = (
    "JobId=12 ArrayJobId=12 ArrayTaskId=0 JobName=vlrouting-x UserId=me(1) {fields} Requeue=1 BatchFlag=1 "
    "SubmitTime=2026-11-24T11:43:20 PreemptEligibleTime=2026-11-24T11:43:21 PreemptTime={preempted} Comment=a=b c\n"
)


def said(call: object, *arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)  # type: ignore[operator]
    return str(caught.value)


@pytest.mark.parametrize("answer", ["42\n", "42;cluster2\n", "Welcome to the cluster!\n42\n"])
def test_a_job_id(fake: FakeScheduler, answer: str) -> None:
    fake.answer("sbatch", answer)
    assert scheduler.submit(SCRIPT) == "42"
    assert fake.calls == ["sbatch --parsable --hold x.sbatch"]


@pytest.mark.parametrize("answer", ["", "\n", "Submitted batch job 42\n", "42 43\n", "-1\n", "<html>\n"])
def test_no_job_id(fake: FakeScheduler, answer: str) -> None:
    fake.answer("sbatch", answer)
    assert "where a job id was expected. Nothing will run" in said(scheduler.submit, SCRIPT)


def test_absent(fake: FakeScheduler) -> None:
    assert said(scheduler.submit, SCRIPT).startswith("sbatch is not on PATH: go to a login node")
    assert said(scheduler.tasks_of, ["7"]).startswith("squeue is not on PATH")
    (fake.folder / "sbatch").touch()
    assert "sbatch" in said(scheduler.submit, SCRIPT)


def test_refusing(fake: FakeScheduler) -> None:
    fake.answer(
        "sbatch", status=1, error="sbatch: error: Invalid account\nsbatch: error: Batch job submission failed\n"
    )
    assert said(scheduler.submit, SCRIPT) == (
        "sbatch refused (status 1): sbatch: error: Invalid account\nsbatch: error: Batch job submission failed"
    )
    fake.answer("sbatch", "on the wrong stream", status=3)
    assert said(scheduler.submit, SCRIPT) == "sbatch refused (status 3): on the wrong stream"


def test_hanging(fake: FakeScheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "TIMEOUT_SECONDS", 0.3)
    fake.answer("sbatch", hang=True)
    begun = time.monotonic()
    message = said(scheduler.submit, SCRIPT)
    assert message.startswith("sbatch gave no answer in 0.3 seconds") and "on hold" in message
    assert time.monotonic() - begun < 10


def test_tasks(fake: FakeScheduler) -> None:
    fake.answer("squeue", f"{PENDING}7|1|RUNNING|vlrouting-x|None\n9|N/A|RUNNING|other|None\n")
    assert scheduler.tasks_of(["7", "9"]) == [
        Task("7", 0, "PENDING", "vlrouting-x", "Priority"),
        Task("7", 1, "RUNNING", "vlrouting-x", "None"),
    ]
    assert fake.called("squeue") == ["--noheader --array --states=all --jobs=7,9 --format=%F|%K|%T|%j|%r"]
    assert scheduler.tasks_of([]) == []
    assert len(fake.calls) == 1


def test_a_job_that_the_scheduler_has_forgotten(fake: FakeScheduler) -> None:
    fake.answer("squeue", status=1, error="slurm_load_jobs error: Invalid job id specified\n")
    assert scheduler.tasks_of(["7"]) == []
    fake.answer("squeue", status=1, error="slurm_load_jobs error: Unable to contact slurm controller\n")
    assert "Unable to contact" in said(scheduler.tasks_of, ["7"])


@pytest.mark.parametrize("answer", ["oops\n", "a|0|RUNNING|x|None\n", "7|x|RUNNING|x|None\n", "7|0|RUNNING\n"])
def test_a_queue_that_cannot_be_read(fake: FakeScheduler, answer: str) -> None:
    fake.answer("squeue", answer)
    assert said(scheduler.tasks_of, ["7"]).startswith("squeue answered")


@pytest.mark.parametrize(
    ("fields", "preempted", "expected", "cancelled"),
    [
        ("JobState=RUNNING Reason=None Restarts=2", "None", JobState("RUNNING", 2), False),
        ("JobState=COMPLETING Reason=None Restarts=0", "None", JobState("COMPLETING"), True),
        ("JobState=CANCELLED Reason=None Restarts=0", "None", JobState("CANCELLED"), True),
        ("JobState=COMPLETING Reason=TimeLimit Restarts=0", "None", JobState("COMPLETING", timed_out=True), False),
        ("JobState=TIMEOUT Reason=None Restarts=0", "None", JobState("TIMEOUT", timed_out=True), False),
        (
            "JobState=COMPLETING Reason=None Restarts=0",
            "2026-11-24T11:50:00",
            JobState("COMPLETING", preempted=True),
            False,
        ),
        ("JobState=PENDING Reason=BeginTime", "None", JobState("PENDING"), False),
    ],
)
def test_a_jobs_state(fake: FakeScheduler, fields: str, preempted: str, expected: JobState, cancelled: bool) -> None:
    fake.answer("scontrol", SHOWN.format(fields=fields, preempted=preempted))
    assert scheduler.state_of("12") == expected
    assert expected.cancelled == cancelled


def test_a_jobs_state_that_is_not_told(fake: FakeScheduler) -> None:
    assert scheduler.state_of("12") == JobState()
    fake.answer("scontrol", "what?\n")
    assert scheduler.state_of("12") == JobState()
