"""`train.logger`: each logger gets every value once, however often the run is interrupted."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import vlrouting
from tests.training.event_curves import curve
from tests.training.test_resume import stop_at
from vlrouting.config import TrainConfig
from vlrouting.experiment import Experiment, ExperimentErrors, RunDirectory
from vlrouting.launch.in_process import train
from vlrouting.training import logger_packages
from vlrouting.training.interruption import Cancelled

Make = Callable[..., Experiment]
LOGGED = [*range(1, 11)]


def interrupted(experiment: Experiment, runs: Path, patch: pytest.MonkeyPatch, *steps: int) -> RunDirectory:
    """Trained, stopped after these steps, and resumed to its end."""
    for step in steps:
        with patch.context() as context:
            stop_at(context, step, signal.SIGTERM)
            with pytest.raises(Cancelled):
                train(experiment, experiment.points, runs)
    assert train(experiment, experiment.points, runs) == {}
    return RunDirectory(runs / experiment.name / "default")


def rows(run: RunDirectory, name: str) -> list[tuple[int, float]]:
    with (run.path / "csv" / "metrics.csv").open(newline="") as file:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file) if row[name]]


def test_csv_continues_over_interruptions_and_says_what_tensorboard_says(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = experiment(train={"logger": ["tensorboard", "csv"], "checkpoint_every_steps": 3})
    run = interrupted(point, tmp_path / "runs", monkeypatch, 2, 6)
    for name in ("train/loss", "validation/vqa_accuracy", "test/vqa_accuracy", "final/vqa_accuracy"):
        logged = rows(run, name)
        assert logged == sorted(set(logged)), name
        steps = [step for step, _ in logged]
        assert steps == {"train/loss": LOGGED, "validation/vqa_accuracy": [4, 8]}.get(name, [10]), name
    drawn = curve(run, "train/loss")
    assert [value for _, value in rows(run, "train/loss")] == pytest.approx([value for _, value in drawn], abs=1e-6)


def test_what_a_kill_leaves_of_the_csv_file_is_repaired(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line, and steps after the last checkpoint, which are trained again."""
    point = experiment(train={"logger": ["csv"], "checkpoint_every_steps": 4})
    with monkeypatch.context() as patch:
        stop_at(patch, 5, signal.SIGTERM)
        with pytest.raises(Cancelled):
            train(point, point.points, tmp_path / "runs")
    run = RunDirectory(tmp_path / "runs" / point.name / "default")
    run.last.unlink()
    run.previous.rename(run.last)
    with (run.path / "csv" / "metrics.csv").open("a") as file:
        file.write("7,0.12")
    assert train(point, point.points, tmp_path / "runs") == {}
    assert [step for step, _ in rows(run, "train/loss")] == LOGGED


def test_no_logger_at_all(experiment: Make, run: Callable[..., RunDirectory]) -> None:
    done = run(experiment(train={"logger": []}))
    assert done.is_complete() and done.panel.is_file()
    assert not list(done.tensorboard.glob("*")) and not (done.path / "csv").exists()


def test_another_logger_is_no_other_run(experiment: Make, run: Callable[..., RunDirectory]) -> None:
    run(experiment())
    run(experiment(train={"logger": ["csv"]}))


@pytest.mark.parametrize("logger", ["wandb", "mlflow"])
def test_a_package_that_is_not_installed_is_told_before_any_work(
    logger: str, experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment(train={"logger": ["csv", logger]})
    monkeypatch.setattr(logger_packages, "find_spec", lambda name: None)
    for command in ("validate", "train"):
        done = vlrouting(command, "tiny.yaml", cwd=tmp_path)
        assert done.returncode == 2 and f'pip install "vlrouting[{logger}]"' in done.stderr, done.stderr
        assert "train.logger" in done.stderr and not (tmp_path / "runs").exists()


def test_unknown_and_repeated_loggers(experiment: Make) -> None:
    with pytest.raises(ExperimentErrors, match=r"train\.logger.*Did you mean 'wandb'"):
        experiment(train={"logger": ["wandbb"]})
    with pytest.raises(ExperimentErrors, match=r"train\.logger.*twice"):
        experiment(train={"logger": ["csv", "csv"]})
    assert TrainConfig().logger == ["tensorboard"]


def test_wandb_gets_one_run_with_every_step_once(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline; what the run logs is noted on its way to the package."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    started, logged, start = [], [], wandb.init

    def noted(**options: object) -> object:
        run = start(**options)
        started.append((options["id"], options["project"], options["name"]))
        log = run.log
        run.log = lambda values: (logged.append(values), log(values))
        return run

    monkeypatch.setattr(wandb, "init", noted)
    point = experiment(train={"logger": ["wandb"], "checkpoint_every_steps": 3})
    interrupted(point, tmp_path / "runs", monkeypatch, 6)
    assert len(set(started)) == 1 and started[0][1:] == ("tiny", "default")
    assert wandb.run is None  # the next point of this process gets a run of its own
    assert [values["trainer/global_step"] for values in logged if "train/loss" in values] == LOGGED
    assert sum("final/vqa_accuracy" in values for values in logged) == 1


def test_mlflow_gets_one_run_with_every_step_once(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    point = experiment(train={"logger": ["mlflow"], "checkpoint_every_steps": 3})
    run = interrupted(point, tmp_path / "runs", monkeypatch, 6)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    (there,) = client.search_experiments(filter_string="name = 'tiny'")
    (found,) = client.search_runs([there.experiment_id])
    assert found.info.run_id == json.loads((run.path / "loggers.json").read_text())["mlflow"]["id"]
    steps = [value.step for value in client.get_metric_history(found.info.run_id, "train/loss")]
    assert sorted(steps) == LOGGED
    assert [each.path for each in client.list_artifacts(found.info.run_id)] == ["panel.png"]
