"""A submission is whole, or has left nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.launch.slurm.conftest import complete
from tests.launch.slurm.fake_scheduler import PENDING, FakeScheduler
from vlrouting.config.cluster import ClusterConfig
from vlrouting.experiment import Experiment, RunDirectory, UserError, load
from vlrouting.launch.slurm.records import alone, is_marked_cancelled, mark_cancelled, read_records
from vlrouting.launch.slurm.submit import submit

RUNS = Path("runs")
FOLDER = RUNS / "x"
CLUSTER = ClusterConfig(gpus=False, retries=5)
NAMES = ["routing=none", "routing=mul"]


def run_of(name: str) -> RunDirectory:
    return RunDirectory(FOLDER / name)


def send(experiment: Experiment, *names: str, dry_run: bool = False) -> str | None:
    points = [experiment.point(name) for name in names] or list(experiment.points)
    return submit(experiment, points, RUNS, CLUSTER, dry_run=dry_run)


def refused(experiment: Experiment, *names: str) -> str:
    with pytest.raises(UserError) as caught:
        send(experiment, *names)
    return str(caught.value)


def traces() -> list[str]:
    """What a submission leaves in `.sweep/`."""
    folder = FOLDER / ".sweep"
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.is_dir() else []


def test_points_script_record_and_job(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works(job="42")
    assert send(experiment) == "42"
    (record,) = read_records(FOLDER)
    assert (record.job, record.name, list(record.points), record.retries) == ("42", "vlrouting-x", NAMES, 5)
    script = FOLDER / ".sweep" / record.script
    assert "#SBATCH --array=0-1\n" in script.read_text()
    assert fake.calls == [f"sbatch --parsable --hold {script}", "scontrol release 42"]  # nothing starts before
    for name in NAMES:
        run = run_of(name)
        assert run.status() == "queued"
        assert run.read_run()["swept"] == {"bottleneck.routing": name.removeprefix("routing=")}
        (point,) = load(str(run.config)).points
        assert point.config == experiment.point(name).config


def test_complete_points_are_skipped(
    experiment: Experiment, fake: FakeScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.works()
    complete(experiment, "routing=none")
    send(experiment)
    assert "x: 2 points, 1 complete" in capsys.readouterr().err
    (record,) = read_records(FOLDER)
    assert record.points == ("routing=mul",)
    assert run_of("routing=none").is_complete()


def test_nothing_is_left_to_do(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    for name in NAMES:
        complete(experiment, name)
    assert send(experiment) is None
    assert fake.called("sbatch") == []


def test_a_dry_run_writes_nothing_and_asks_nobody(
    experiment: Experiment, fake: FakeScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(experiment, dry_run=True) is None
    printed = capsys.readouterr().out
    assert printed.startswith("#!/bin/bash\n") and "runs/x/routing=mul\n" in printed
    assert not RUNS.exists()
    for name in ("routing=none", "routing=mul"):
        complete(experiment, name)
    assert send(experiment, dry_run=True) is None
    told = capsys.readouterr()
    assert told.out == printed and "every point is complete" in told.err


def test_what_is_queued_or_running_is_not_submitted_again(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    send(experiment)
    fake.answer("squeue", f"{PENDING}7|1|RUNNING|vlrouting-x|None\n")
    message = refused(experiment)
    assert "queued or running already: routing=none (7_0), routing=mul (7_1)" in message
    fake.answer("squeue", f"{PENDING}7|1|FAILED|vlrouting-x|None\n")
    fake.answer("sbatch", "8\n")
    assert send(experiment) == "8"
    assert read_records(FOLDER)[-1].points == ("routing=mul",)
    # Each point's last task counts, whichever submission it belongs to.
    fake.answer("squeue", f"{PENDING}7|1|FAILED|vlrouting-x|None\n8|0|RUNNING|vlrouting-x|None\n")
    assert "routing=none (7_0), routing=mul (8_0)" in refused(experiment)


def test_a_job_of_another_cluster_with_the_same_number(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    send(experiment)
    fake.answer("squeue", "7|0|RUNNING|somebody-elses|None\n")
    fake.answer("sbatch", "8\n")
    assert send(experiment) == "8"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": 1, "error": "sbatch: error: invalid partition"}, "sbatch refused (status 1): sbatch: error: inv"),
        ({"out": "hello"}, "sbatch answered 'hello' where a job id was expected"),
        (None, "sbatch is not on PATH"),
    ],
)
def test_a_scheduler_that_does_not_take_it(
    experiment: Experiment, fake: FakeScheduler, answer: dict[str, object] | None, message: str
) -> None:
    if answer is not None:
        fake.answer("sbatch", **answer)  # type: ignore[arg-type]
    assert message in refused(experiment)
    assert traces() == []
    assert [run_of(name).status() for name in NAMES] == [None, None]


def test_a_job_that_cannot_be_let_go_is_taken_back(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    run_of("routing=mul").update_run(status="failed", error="as before")
    fake.answer("scontrol", status=1, error="no")
    assert "scontrol refused (status 1): no" in refused(experiment)
    assert fake.called("scancel") == ["7"]
    assert traces() == []
    assert run_of("routing=none").status() is None
    assert run_of("routing=mul").read_run()["error"] == "as before"


def test_a_disk_that_takes_no_record(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    (FOLDER / ".sweep" / "slurm-7.json" / "in the way").mkdir(parents=True)
    assert "job 7 was taken back, nothing runs" in refused(experiment)
    assert fake.called("scancel") == ["7"]
    assert fake.called("scontrol") == []
    assert [run_of(name).status() for name in NAMES] == [None, None]


def test_a_job_that_stays_on_hold_is_told(
    experiment: Experiment, fake: FakeScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.works()
    fake.answer("scontrol", status=1, error="no")
    fake.answer("scancel", status=1, error="neither")
    refused(experiment)
    assert "job 7 is still there, on hold; remove it with `scancel 7`" in capsys.readouterr().err


def test_one_submission_at_a_time(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    with alone(FOLDER):
        assert "another submission of this experiment is under way" in refused(experiment)
    assert fake.calls == []


def test_a_local_sweep_that_runs(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    file = FOLDER / ".sweep" / "local.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    assert "runs already as a local sweep" in refused(experiment)
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait()
    file.write_text(json.dumps({"pid": gone.pid, "host": socket.gethostname()}))
    assert send(experiment) == "7"


def test_a_point_in_use_or_with_other_settings(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    with run_of("routing=none").lock():
        assert "is in use by process" in refused(experiment)
    other = load("x", ["train.lr=0.5"])
    send(other, "routing=mul")
    fake.answer("squeue")
    assert "train.lr: 0.5 → 0.0003" in refused(experiment)
    assert len(fake.called("sbatch")) == 1


def test_what_was_cancelled_may_be_submitted_again(experiment: Experiment, fake: FakeScheduler) -> None:
    fake.works()
    mark_cancelled(FOLDER, NAMES)
    send(experiment, "routing=mul")
    assert [is_marked_cancelled(FOLDER, name) for name in NAMES] == [True, False]
