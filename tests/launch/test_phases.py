"""The trials of a tuned experiment, the choice, and the points, on one machine."""

from __future__ import annotations

import multiprocessing
import re
import signal
from pathlib import Path

import pytest

from tests.command_line import vlrouting
from tests.launch import killed_phase
from tests.tiny_experiment import write_tuned_experiment
from vlrouting.experiment import RunDirectory, UserError, load
from vlrouting.experiment.attempts import Attempts
from vlrouting.launch import phases
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.metrics.caption_score import CaptionScore
from vlrouting.training.point import PointRun

POINTS = ("routing=none,seed=0", "routing=none,seed=1", "routing=mul,seed=0", "routing=mul,seed=1")


def grid(*values: float) -> str:
    return f"sweep.tune.grid.train.lr={list(values)}"


def run_of(folder: Path, name: str) -> RunDirectory:
    return RunDirectory(folder / "runs" / "tiny" / name)


def starts(folder: Path) -> dict[str, int]:
    """Number of attempts of every trial and point."""
    runs = folder / "runs" / "tiny"
    found = [*runs.glob("*/attempts.jsonl"), *runs.glob("tuning/*/attempts.jsonl")]
    return {str(file.parent.relative_to(runs)): len(Attempts(file).read()) for file in found}


def train_all(folder: Path, *overrides: str) -> dict[str, str]:
    experiment = load(str(folder / "tiny.yaml"), overrides)
    return train(experiment, experiment.points, folder / "runs")


def test_the_points_get_what_the_trials_choose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tuned_experiment(tmp_path)
    assert train_all(tmp_path, grid(1e30, 0.01)) == {}
    told = capsys.readouterr().err
    assert "tuning [1/4] routing=none,lr=1e+30" in told and "\n[4/4" in told
    trial = run_of(tmp_path, "tuning/routing=mul,lr=0.01")
    assert run_of(tmp_path, "tuning/routing=mul,lr=1e+30").has_diverged()
    for name in POINTS:
        settings = run_of(tmp_path, name).read_config()
        assert run_of(tmp_path, name).is_complete() and settings["train.lr"] == 0.01
    assert {key: value for key, value in settings.items() if key.startswith("tuned.")} == {
        "tuned.keys": ["train.lr"],
        "tuned.trials": ["routing=mul,lr=1e+30", "routing=mul,lr=0.01"],
        "tuned.trial": "routing=mul,lr=0.01",
        "tuned.metric": "validation/vqa_accuracy",
        "tuned.score": trial.read_metrics()["validation/vqa_accuracy"],
        "tuned.edges": ["train.lr"],
    }
    own = trial.read_config()
    assert (own["seed"], own["train.max_steps"], own["evaluate.split"], own["tuned"]) == (100, 6, "validation", None)
    swept = run_of(tmp_path, POINTS[0]).read_run()["swept"]
    assert swept == {"bottleneck.routing": "none", "seed": 0, "train.lr": 0.01}
    before = starts(tmp_path)
    assert train_all(tmp_path, grid(1e30, 0.01)) == {} and starts(tmp_path) == before  # those that diverged too
    assert "4 trials, 2 complete, 2 diverged" in capsys.readouterr().err


def test_a_longer_grid_runs_only_what_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tuned_experiment(tmp_path, sweep={"tune": {"grid": {"train.lr": [1e-6]}}, "seeds": [0]})
    assert train_all(tmp_path, grid(1e-7, 1e-6)) == {}
    run = run_of(tmp_path, "seed=0")
    assert run.read_config()["tuned.edges"] == ["train.lr"]  # of two equal ones the first
    artifact = (run.artifact / "adapter_model.safetensors").stat()
    before = starts(tmp_path)
    assert train_all(tmp_path, grid(1e-7, 1e-6, 1e-8)) == {}
    assert starts(tmp_path) == before | {"tuning/lr=1e-08": 1}  # the choice is the same, and no edge any more
    assert run.read_config()["tuned.edges"] == [] and len(run.read_config()["tuned.trials"]) == 3  # type: ignore[arg-type]
    assert (run.artifact / "adapter_model.safetensors").stat() == artifact
    capsys.readouterr()
    assert train_all(tmp_path, grid(2e-6, 1e-7, 1e-6, 1e-8)) == {}
    assert "train.lr=2e-06 is chosen now, not 1e-07: the older run is moved to .old/" in capsys.readouterr().err
    assert run.read_config()["train.lr"] == 2e-6 and run.is_complete()
    (old,) = (tmp_path / "runs" / "tiny" / ".old").glob("*/seed=0")
    assert RunDirectory(old).read_config()["train.lr"] == 1e-7 and RunDirectory(old).is_complete()
    assert starts(tmp_path) == before | {"tuning/lr=1e-08": 1, "tuning/lr=2e-06": 1}
    # Another choice does not excuse other settings.
    with pytest.raises(UserError, match=r"other settings.*\n  bottleneck.rank: 4 → 2"):
        train_all(tmp_path, grid(1e-7, 1e-6), "bottleneck.rank=2")
    experiment = load(str(tmp_path / "tiny.yaml"), [grid(1e-7, 1e-6), "bottleneck.rank=2"])
    assert phases.decide(experiment, experiment.points, tmp_path / "runs").ready and run.is_complete()


def test_a_trial_that_fails_holds_up_its_own_variant_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tuned_experiment(tmp_path)
    original = PointRun._train_and_test

    def unlucky(self: PointRun) -> None:
        if self.point.name == "routing=none,lr=0.01":
            raise RuntimeError("out of luck")
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(PointRun, "_train_and_test", unlucky)
        failed = train_all(tmp_path)
    assert list(failed) == ["routing=none,seed=0", "routing=none,seed=1"]
    reason = failed["routing=none,seed=0"]
    assert "tuning/routing=none,lr=0.01 is failed (RuntimeError: out of luck)" in reason
    assert {name for name in starts(tmp_path) if "/" not in name} == {"routing=mul,seed=0", "routing=mul,seed=1"}
    before = starts(tmp_path)
    experiment = load(str(tmp_path / "tiny.yaml"))
    assert train(experiment, [experiment.point("routing=mul,seed=1")], tmp_path / "runs") == {}
    assert starts(tmp_path) == before  # the trials of other variants do not run for it
    assert train_all(tmp_path) == {}
    new = {"tuning/routing=none,lr=0.01": 2, "routing=none,seed=0": 1, "routing=none,seed=1": 1}
    assert starts(tmp_path) == before | new


@pytest.mark.slow
def test_kills_in_both_phases_and_between_them_lose_nothing(tmp_path: Path) -> None:
    tune = {"grid": {"train.lr": [1e30, 1e-6]}, "max_steps": 6}
    file = write_tuned_experiment(tmp_path, sweep={"tune": tune, "seeds": [0, 1]})
    experiment = load(str(file))
    assert train(experiment, experiment.points, tmp_path / "whole") == {}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.launch.killed_phase"])
    for moment in ("lr=1e-06", killed_phase.BETWEEN, "seed=0", "seed=1"):
        process = context.Process(target=killed_phase.killed, args=(file, tmp_path / "runs", moment))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL, moment
    assert train_all(tmp_path) == {}
    assert starts(tmp_path) == {"tuning/lr=1e+30": 1, "tuning/lr=1e-06": 2, "seed=0": 2, "seed=1": 2}
    for name in ("tuning/lr=1e-06", "seed=0", "seed=1"):
        whole, resumed = RunDirectory(tmp_path / "whole" / "tiny" / name), run_of(tmp_path, name)
        assert Attempts(resumed.attempts).read()[-1].first_step in (3, 4)  # the last checkpoint before step 5
        assert resumed.read_metrics() == whole.read_metrics()
        assert resumed.read_config() == whole.read_config()
        tensors = [(run.artifact / "adapter_model.safetensors").read_bytes() for run in (whole, resumed)]
        assert tensors[0] == tensors[1]


@pytest.mark.slow
def test_several_at_once_choose_and_end_as_one_after_the_other_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write_tuned_experiment(tmp_path, sweep={"tune": {"grid": {"train.lr": [1e30, 0.01]}}, "seeds": [0, 1]})
    experiment = load(str(file))
    assert run_locally(experiment, experiment.points, tmp_path / "runs") == {}
    told = capfd.readouterr().err
    assert "tuning [2/2]" in told and "\n[2/2] seed=" in told
    assert train(experiment, experiment.points, tmp_path / "in turn") == {}
    for name in ("tuning/lr=0.01", "seed=0", "seed=1"):
        here, there = run_of(tmp_path, name), RunDirectory(tmp_path / "in turn" / "tiny" / name)
        assert here.read_metrics() == there.read_metrics() and here.read_config() == there.read_config()
        assert here.read_run()["swept"] == there.read_run()["swept"]
        tensors = [(run.artifact / "adapter_model.safetensors").read_bytes() for run in (here, there)]
        assert tensors[0] == tensors[1]


def test_the_command_line(tmp_path: Path) -> None:
    write_tuned_experiment(tmp_path, sweep={"tune": {"grid": {"train.lr": [1e-6, 1e-7]}}, "seeds": [0, 1]})
    checked = vlrouting("validate", "tiny.yaml", cwd=tmp_path).stdout.splitlines()
    assert checked == [
        "tiny.yaml: 2 points, after 2 trials of the tuning",
        *("  tuning/lr=1e-06", "  tuning/lr=1e-07", "  seed=0", "  seed=1"),
    ]
    dry = vlrouting("sweep", "tiny.yaml", "--dry-run", "-p", "seed=1", cwd=tmp_path)
    assert dry.stdout.split() == ["tuning/lr=1e-06", "tuning/lr=1e-07", "seed=1"]
    waiting = vlrouting("status", "tiny.yaml", cwd=tmp_path).stdout
    assert "tuning: 0 of 2 trials complete" in waiting and waiting.count("waits for the tuning") == 2
    shown = vlrouting("show", "tiny.yaml", "seed=0", cwd=tmp_path).stdout.splitlines()
    (line,) = [line for line in shown if " train.lr: " in line]
    assert line.split("  ")[0] == "# tuned, one of: train.lr: [1.0e-06, 1.0e-07]" and line.endswith("sweep.tune.grid")
    sweep = ("sweep", "tiny.yaml", "--launcher", "process")
    assert vlrouting(*sweep, cwd=tmp_path).returncode == 0
    assert vlrouting("sweep", "tiny.yaml", "--dry-run", cwd=tmp_path).stdout == ""
    done = vlrouting("status", "tiny.yaml", cwd=tmp_path).stdout
    assert "tuning: 2 of 2 trials complete" in done and "lr=1e" not in done and "waits" not in done
    before = run_of(tmp_path, "seed=0").read_metrics()
    assert vlrouting("evaluate", "tiny.yaml", cwd=tmp_path).returncode == 0
    assert run_of(tmp_path, "seed=0").read_metrics() == before
    assert vlrouting(*sweep, "--again", "-p", "seed=1", cwd=tmp_path).returncode == 0
    runs = tmp_path / "runs" / "tiny"
    old = sorted(str(path.parent.relative_to(runs)) for path in runs.glob("**/.old/*/*/config.yaml"))
    assert [re.sub(r"[0-9]+-[0-9]+/", "", path) for path in old] == [
        ".old/seed=1",
        "tuning/.old/lr=1e-06",
        "tuning/.old/lr=1e-07",
    ]


def test_trials_that_cannot_be_compared_do_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    experiment = load("demo_caption_study", experiments_dir=Path(__file__).parents[2] / "experiments")
    monkeypatch.setattr(CaptionScore, "missing", lambda config: {"CIDEr": "install Java"})
    with pytest.raises(UserError, match="CIDEr is not computed here: install Java"):
        phases.in_phases(experiment, experiment.points, tmp_path, lambda *_: pytest.fail("a trial started"))
