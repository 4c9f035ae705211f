"""A tuned experiment as two job arrays: the second waits for the first, and its tasks choose when they start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.launch.slurm.fake_scheduler import FakeScheduler
from vlrouting.config.cluster import ClusterConfig
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, load, to_yaml
from vlrouting.experiment.choice import NotChosen
from vlrouting.launch.cancel import cancel
from vlrouting.launch.slurm.records import is_marked_cancelled, read_records
from vlrouting.launch.slurm.submit import submit
from vlrouting.launch.status import show_status
from vlrouting.launch.worker import with_choice

RUNS = Path("runs")
FOLDER, TUNING = RUNS / "x", RUNS / "x" / "tuning"
CLUSTER = ClusterConfig(gpus=False)
EXPERIMENT = """\
train: {max_steps: 7, batch_size: 8, accelerator: cpu}
data: {validation: minival}
sweep:
  grid: {bottleneck.routing: [none, mul]}
  tune: {grid: {train.lr: [1e-3, 1e-2]}}
"""
TRIALS = ["routing=none,lr=0.001", "routing=none,lr=0.01", "routing=mul,lr=0.001", "routing=mul,lr=0.01"]
POINTS = ["routing=none", "routing=mul"]
GRID = "sweep.tune.grid.train.lr=[1e-3, 1e-2, 1e-1]"


@pytest.fixture
def tuned(experiment: Experiment, fake: FakeScheduler) -> Experiment:
    """Two variants with two trials each; the scheduler gives the numbers 7, 8, …."""
    Path("experiments/x.yaml").write_text(EXPERIMENT)
    fake.works()
    count = fake.folder / "count"
    count.write_text("6")
    lines = (fake.folder / "sbatch").read_text().splitlines()
    number = [f"read number < {count}", "number=$((number + 1))", f"echo $number > {count}", "echo $number"]
    (fake.folder / "sbatch").write_text("\n".join([*lines[:2], *number]) + "\n")
    return load("x")


def send(experiment: Experiment, names: Sequence[str] = (), dry_run: bool = False) -> str | None:
    points = [experiment.point(name) for name in names] or list(experiment.points)
    return submit(experiment, points, RUNS, CLUSTER, dry_run=dry_run)


def finish(experiment: Experiment, name: str, score: float) -> None:
    """Make a trial look complete."""
    run = RunDirectory(TUNING / name)
    run.artifact.mkdir(parents=True, exist_ok=True)
    run.config.write_text(to_yaml(experiment.tuning.point(name).config))
    run.metrics.write_text(json.dumps({"validation/accuracy": score}))
    run.update_run(status="complete", main_metric="validation/accuracy")
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (run.artifact / file).touch()


def finish_all(experiment: Experiment) -> None:
    """`none` is best at 0.001, `mul` at 0.01."""
    for name in [trial.name for trial in experiment.trials]:
        finish(experiment, name, float(name in ("routing=none,lr=0.001", "routing=mul,lr=0.01")))


def finish_point(name: str) -> None:
    """Make a point look complete, with the settings that its directory has."""
    run = RunDirectory(FOLDER / name)
    run.artifact.mkdir(exist_ok=True)
    run.metrics.write_text(json.dumps({"test/accuracy": 1.0}))
    run.update_run(status="complete", main_metric="test/accuracy")
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (run.artifact / file).touch()


def stored(name: str) -> dict[str, object]:
    return RunDirectory(FOLDER / name).read_config()


def started(name: str) -> Point:
    """A point as a task of the second array has it."""
    run = RunDirectory(FOLDER / name)
    swept = run.read_run()["swept"]
    assert isinstance(swept, dict)
    return with_choice(Point(name, load(str(run.config)).points[0].config, swept), run)


def script(folder: Path) -> str:
    return (folder / ".sweep" / read_records(folder)[-1].script).read_text()


def test_two_arrays_that_start_when_both_are_written_down(
    tuned: Experiment, fake: FakeScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(tuned) == "8"
    (first,), (second,) = read_records(TUNING), read_records(FOLDER)
    assert (first.job, list(first.points), first.name) == ("7", TRIALS, "vlrouting-x-tuning")
    assert (second.job, list(second.points)) == ("8", POINTS)
    assert "#SBATCH --dependency=afterany:7\n" in script(FOLDER) and "dependency" not in script(TUNING)
    assert [call.split()[0] for call in fake.calls] == ["sbatch", "sbatch", "scontrol", "scontrol"]
    assert fake.called("scontrol") == ["release 7", "release 8"]
    told = capsys.readouterr().err
    assert "job 7: 4 trials of the tuning queued" in told and "job 8: 2 points queued, after the tuning" in told
    assert stored("routing=mul")["tuned.trial"] is None and stored("routing=mul")["tuned.trials"] == TRIALS[2:]
    assert RunDirectory(TUNING / TRIALS[0]).read_config()["train.lr"] == 1e-3
    assert RunDirectory(FOLDER / "routing=mul").read_run()["swept"] == {"bottleneck.routing": "mul"}


def test_a_task_chooses_when_it_starts_and_once(tuned: Experiment) -> None:
    send(tuned)
    finish_all(tuned)
    point = started("routing=mul")
    assert point.config.train.lr == 0.01 and point.differing == {"bottleneck.routing": "mul", "train.lr": 0.01}
    RunDirectory(FOLDER / "routing=mul").prepare(to_yaml(point.config))  # as the first process does
    assert stored("routing=mul")["tuned.trial"] == "routing=mul,lr=0.01"
    finish(tuned, "routing=mul,lr=0.001", 2.0)  # whatever happens there: a restart goes on with what it has
    assert started("routing=mul").config == point.config


def test_a_task_whose_trials_are_missing_names_them_and_the_command(tuned: Experiment) -> None:
    send(tuned)
    finish_all(tuned)
    RunDirectory(TUNING / TRIALS[2]).update_run(status="cancelled", error="cancelled")
    RunDirectory(TUNING / TRIALS[3]).update_run(status="failed", error="out of luck")
    with pytest.raises(NotChosen) as caught:
        started("routing=mul")
    for part in (TRIALS[2], "is cancelled", TRIALS[3], "is failed (out of luck)", "`vlrouting sweep`"):
        assert part in str(caught.value)
    assert started("routing=none").config.train.lr == 1e-3


def test_one_array_where_all_trials_have_ended(
    tuned: Experiment, fake: FakeScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    finish_all(tuned)
    diverged = RunDirectory(TUNING / TRIALS[1])
    diverged.metrics.unlink()
    diverged.update_run(status="failed", diverged=True, error="the loss is nan")
    assert send(tuned) == "7"
    assert read_records(TUNING) == [] and "dependency" not in script(FOLDER)
    assert [stored(name)["train.lr"] for name in POINTS] == [1e-3, 1e-2]
    assert "x: routing=mul: train.lr=0.01 is chosen" in capsys.readouterr().err
    swept = RunDirectory(FOLDER / "routing=mul").read_run()["swept"]
    assert swept == {"bottleneck.routing": "mul", "train.lr": 0.01}


def test_points_wait_for_trials_that_run_already(tuned: Experiment, fake: FakeScheduler) -> None:
    send(tuned, ["routing=none"])
    running = "7|0|RUNNING|vlrouting-x-tuning|None\n7|1|PENDING|vlrouting-x-tuning|Priority\n"
    fake.answer("squeue", running + "8|0|PENDING|vlrouting-x|Dependency\n")
    assert send(tuned) == "10"
    assert list(read_records(TUNING)[-1].points) == TRIALS[2:]
    assert read_records(FOLDER)[-1].points == ("routing=mul",)
    assert "#SBATCH --dependency=afterany:9:7\n" in script(FOLDER)


def test_nothing_to_submit(tuned: Experiment, fake: FakeScheduler) -> None:
    send(tuned)
    queue = "".join(f"7|{n}|RUNNING|vlrouting-x-tuning|None\n" for n in range(4))
    fake.answer("squeue", queue + "8|0|PENDING|vlrouting-x|Dependency\n8|1|PENDING|vlrouting-x|Dependency\n")
    with pytest.raises(
        UserError, match=r"queued or running already: routing=none,lr=0.001 \(7_0\).*routing=mul \(8_1\)"
    ):
        send(tuned)
    fake.answer("squeue")
    for name in TRIALS:
        RunDirectory(TUNING / name).update_run(status="failed", diverged=True, error="the loss is nan")
    with pytest.raises(UserError, match="nothing to submit: every trial diverged"):
        send(tuned)


@pytest.mark.parametrize("program", ["sbatch", "scontrol"])
def test_where_the_second_array_fails_the_first_is_taken_back(
    tuned: Experiment, fake: FakeScheduler, program: str
) -> None:
    path = fake.folder / program
    lines = path.read_text().splitlines()
    second = f"[ -e {fake.folder}/once ] && {{ echo no >&2; exit 1; }}"
    path.write_text("\n".join([*lines[:2], second, f": > {fake.folder}/once", *lines[2:]]) + "\n")
    with pytest.raises(UserError, match=f"{program} refused"):
        send(tuned)
    assert fake.called("scancel") == (["7"] if program == "sbatch" else ["8", "7"])
    assert read_records(TUNING) == read_records(FOLDER) == []
    folders = [TUNING / name for name in TRIALS] + [FOLDER / name for name in POINTS]
    assert [RunDirectory(folder).status() for folder in folders] == [None] * 6


def test_runs_with_an_older_choice_wait_for_the_new_trials(
    tuned: Experiment, fake: FakeScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    finish_all(tuned)
    send(tuned)
    finish_point("routing=none")
    RunDirectory(FOLDER / "routing=mul").update_run(status="cancelled")
    longer = load("x", [GRID])
    assert send(longer) == "8"
    assert list(read_records(TUNING)[-1].points) == ["routing=none,lr=0.1", "routing=mul,lr=0.1"]
    assert len(read_records(FOLDER)) == 1
    assert "routing=none, routing=mul: trained with an older choice" in capsys.readouterr().err
    finish(longer, "routing=none,lr=0.1", 0.0)
    finish(longer, "routing=mul,lr=0.1", 5.0)
    assert send(longer) == "9"
    assert read_records(FOLDER)[-1].points == ("routing=mul",)
    assert [stored(name)["train.lr"] for name in POINTS] == [1e-3, 1e-1]
    assert stored("routing=none")["tuned.edges"] == ["train.lr"] and RunDirectory(FOLDER / "routing=none").is_complete()
    assert len(list((FOLDER / ".old").glob("*/routing=mul/config.yaml"))) == 1


def test_a_queued_point_keeps_the_choice_it_has(tuned: Experiment, fake: FakeScheduler) -> None:
    finish_all(tuned)
    send(tuned)
    fake.answer("squeue", "7|0|RUNNING|vlrouting-x|None\n7|1|PENDING|vlrouting-x|Priority\n")
    longer = load("x", [GRID])
    for name in ("routing=none,lr=0.1", "routing=mul,lr=0.1"):
        finish(longer, name, 5.0)
    with pytest.raises(UserError, match="nothing to submit"):
        send(longer)
    assert [stored(name)["train.lr"] for name in POINTS] == [1e-3, 1e-2] and not (FOLDER / ".old").exists()


def test_a_dry_run_prints_both_scripts(
    tuned: Experiment, fake: FakeScheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(tuned, dry_run=True) is None
    first, second = capsys.readouterr().out.split("#!/bin/bash\n")[1:]
    assert "#SBATCH --array=0-3\n" in first and "runs/x/tuning/routing=mul,lr=0.01\n" in first
    assert "#SBATCH --array=0-1\n" in second and "#SBATCH --dependency=afterany:JOB_OF_THE_TRIALS\n" in second
    assert fake.calls == [] and not RUNS.exists()
    finish_all(tuned)
    send(tuned, dry_run=True)
    (only,) = capsys.readouterr().out.split("#!/bin/bash\n")[1:]
    assert "#SBATCH --array=0-1\n" in only and "dependency" not in only


def test_cancel_ends_the_points_before_the_trials(tuned: Experiment, fake: FakeScheduler) -> None:
    send(tuned)
    finish(tuned, TRIALS[0], 1.0)
    ended = fake.folder / "ended"
    active = "7|1|RUNNING|vlrouting-x-tuning|None\n7|2|PENDING|vlrouting-x-tuning|Priority\n"
    active += "8|0|PENDING|vlrouting-x|Dependency\n8|1|PENDING|vlrouting-x|Dependency\n"
    fake.answer("squeue", active)
    assert cancel_all(fake, ended) == [*POINTS, *TRIALS[1:3]]
    assert fake.called("scancel") == ["8_0 8_1", "7_1 7_2"]
    assert [RunDirectory(TUNING / name).status() for name in TRIALS] == ["complete", "cancelled", "cancelled", "queued"]
    assert [RunDirectory(FOLDER / name).status() for name in POINTS] == ["cancelled", "cancelled"]
    assert is_marked_cancelled(TUNING, TRIALS[1]) and is_marked_cancelled(FOLDER, POINTS[0])
    fake.answer("squeue", active)
    assert cancel_all(fake, ended, [TRIALS[1]]) == [TRIALS[1]]


def cancel_all(fake: FakeScheduler, ended: Path, names: list[str] | None = None) -> list[str]:
    """Cancel; the scheduler knows of nothing more once scancel was called for trials."""
    ended.unlink(missing_ok=True)
    lines = {"scancel": f'case "$*" in *7_*) : > {ended};; esac', "squeue": f"[ -e {ended} ] && exit 0"}
    for program, line in lines.items():
        text = (fake.folder / program).read_text().splitlines()
        (fake.folder / program).write_text("\n".join([*text[:2], line, *text[2:]]) + "\n")
    return cancel(FOLDER, names)


def test_the_status_of_both_phases(tuned: Experiment, fake: FakeScheduler) -> None:
    send(tuned)
    finish(tuned, TRIALS[0], 1.0)
    RunDirectory(TUNING / TRIALS[1]).update_run(status="failed", diverged=True, error="the loss is nan")
    fake.answer("squeue", "7|2|PENDING|vlrouting-x-tuning|Priority\n8|0|PENDING|vlrouting-x|Dependency\n")
    text = StringIO()
    show_status("x", POINTS, RUNS, Console(file=text, width=200), trials=TRIALS)
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines() if line.strip()]
    assert lines[0] == "tuning: 1 of 4 trials complete"
    assert not any(line.startswith(f"{TRIALS[0]} ") for line in lines)
    assert f"{TRIALS[1]} diverged the loss is nan" in lines and f"{TRIALS[2]} queued 7_2: Priority" in lines
    assert "routing=none queued waits for the tuning; 8_0: Dependency" in lines
