"""`vlrouting sweep`, `status` and `cancel` as they are typed, and the targets of make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.launch.slurm.fake_scheduler import FakeScheduler
from tests.tiny_experiment import write_experiment
from vlrouting.cli import app
from vlrouting.experiment import RunDirectory, UserError

REPOSITORY = Path(__file__).parents[3]
SLURM = ("--launcher", "slurm")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two points with their data, in the current directory."""
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path, sweep={"grid": {"bottleneck.routing": ["none", "mul"]}})
    return tmp_path


def typed(*arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result.output


def test_submit_look_and_cancel(tiny: Path, fake: FakeScheduler) -> None:
    fake.works()
    (tiny / "mine.yaml").write_text("gpus: false\npartition: long\n")
    typed("sweep", "tiny.yaml", *SLURM, "--cluster", "mine.yaml", "--nodes", "2", "--gpus", "2", "--at-once", "1")
    (script,) = Path("runs/tiny/.sweep").glob("*.sbatch")
    for option in ("--nodes=2", "--ntasks-per-node=2", "--array=0-1%1", "--partition=long"):
        assert f"#SBATCH {option}\n" in script.read_text()
    config = RunDirectory(Path("runs/tiny/routing=mul")).read_config()
    assert (config["train.nodes"], config["train.devices"]) == (2, 2)
    fake.answer("squeue", "7|1|PENDING|vlrouting-tiny|Priority\n")
    lines = [line.split() for line in typed("status", "tiny.yaml").splitlines()]
    assert ["routing=mul", "queued", "7_1:", "Priority"] in lines
    assert any(line[:3] == ["routing=none", "cut", "off"] for line in lines)
    fake.answer("squeue")
    assert typed("cancel", "tiny.yaml") == "tiny: nothing is queued or running\n"


def test_a_dry_run_prints_the_script_and_writes_nothing(tiny: Path) -> None:
    before = sorted(tiny.rglob("*"))
    printed = typed("sweep", "tiny.yaml", *SLURM, "--nodes", "2", "--dry-run")
    assert "#SBATCH --nodes=2\n" in printed and "runs/tiny/routing=none\n" in printed
    assert typed("sweep", "tiny.yaml", "--dry-run", "-p", "routing=mul").splitlines()[-1] == "routing=mul"
    assert sorted(tiny.rglob("*")) == before
    shutil.rmtree(tiny / "data")  # where a script is looked at, the data need not be
    assert typed("sweep", "tiny.yaml", *SLURM, "--nodes", "2", "--dry-run") == printed


def test_mistakes(tiny: Path) -> None:
    for arguments, message in (
        (("--nodes", "0"), "command line: train.nodes: 0 is below 1"),
        ((*SLURM, "--gpus", "3"), "8 examples cannot be cut into 3 equal micro-batches"),
        ((*SLURM, "--cluster", "nowhere"), "no cluster 'nowhere'"),
        ((*SLURM, "-p", "routing=mull"), "Did you mean 'routing=mul'?"),
    ):
        with pytest.raises(UserError, match=message.replace("?", r"\?")):
            typed("sweep", "tiny.yaml", *arguments)
    for arguments in (("--cluster", "gpu"), ("--launcher", "process", "--at-once", "2"), ("--launcher", "pbs")):
        with pytest.raises(SystemExit) as stop:
            typed("sweep", "tiny.yaml", *arguments)
        assert stop.value.code == 2
    with pytest.raises(UserError, match="no experiment 'nothing'"):
        typed("status", "nothing")
    assert not Path("runs").exists()


def test_without_a_scheduler_there_is_one_line_and_no_trace(tiny: Path, fake: FakeScheduler) -> None:
    command = [sys.executable, "-m", "vlrouting.cli", "sweep", "tiny.yaml", *SLURM]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("vlrouting: sbatch is not on PATH")
    assert "Traceback" not in done.stderr
    assert list(Path("runs/tiny/.sweep").glob("*[!k]")) == []
    assert RunDirectory(Path("runs/tiny/routing=mul")).status() is None


def test_an_experiment_whose_file_is_gone_still_has_a_status(tiny: Path) -> None:
    RunDirectory(Path("runs/tiny/routing=mul")).update_run(status="failed", error="boom")
    (tiny / "tiny.yaml").unlink()
    assert any(line.split() == ["routing=mul", "failed", "boom"] for line in typed("status", "tiny").splitlines())


def make(target: str, *variables: str) -> str:
    # `make test` hands its own options on, and make then says which directory it is in.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", "--dry-run", target, *variables]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.replace("\\\n", " ").splitlines()[-1].split())


def test_targets_of_make() -> None:
    variables = ("EXP=x", "LAUNCHER=slurm", "NODES=2", "GPUS=4", "CLUSTER=gpu", "DRY_RUN=1", "POINT=a", "ARGS=seed=1")
    assert make("sweep", *variables).partition(" ")[2] == (
        'sweep x seed=1 --point "a" --launcher slurm --nodes 2 --gpus 4 --cluster gpu --dry-run'
    )
    assert make("sweep", "EXP=x").partition(" ")[2] == "sweep x"
    assert make("status", "EXP=x").partition(" ")[2] == "status x"
    assert make("cancel", "EXP=x", "POINT=a").partition(" ")[2] == 'cancel x --point "a"'
