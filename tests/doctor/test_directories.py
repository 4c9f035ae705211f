"""What earlier attempts left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.doctor.checking import experiment_in, findings_of, only_problem, problems
from vlrouting.experiment import RunDirectory, to_yaml


@pytest.fixture
def run(tiny: Path) -> RunDirectory:
    """The point's directory after an attempt that was cut off."""
    run = RunDirectory(tiny / "runs" / "tiny" / "default")
    run.prepare(to_yaml(experiment_in(tiny).points[0].config))
    run.update_run(status="cancelled")
    run.last.parent.mkdir()
    for checkpoint in (run.last, run.previous, run.best):
        torch.save({"state_dict": {"weight": torch.arange(5000.0)}}, checkpoint)
    return run


def test_a_valid_one(tiny: Path, run: RunDirectory) -> None:
    assert problems(findings_of(tiny)) == []


def test_other_settings(tiny: Path, run: RunDirectory) -> None:
    findings = findings_of(tiny, "train.lr=0.5")
    only_problem(findings, "fault", "run directory", "train.lr: 0.01 → 0.5", f"rm -r '{run.path}'")
    assert problems(findings_of(tiny, "train.workers=1")) == []


def test_a_damaged_configuration(tiny: Path, run: RunDirectory) -> None:
    run.config.write_text("train: [")
    only_problem(findings_of(tiny), "fault", "run directory", "config.yaml is damaged", f"rm -r '{run.path}'")


def test_a_damaged_run_json(tiny: Path, run: RunDirectory) -> None:
    run.run_json.write_text('{"status": "compl')
    only_problem(findings_of(tiny), "warning", "run directory", "run.json", f"rm '{run.run_json}'")


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_checkpoint(tiny: Path, run: RunDirectory, damage: str) -> None:
    whole = run.last.read_bytes()
    middle = len(whole) // 2
    broken = whole[:middle] if damage == "cut" else whole[:middle] + b"doctor" + whole[middle + 6 :]
    run.last.write_bytes(broken)
    only_problem(findings_of(tiny), "warning", "run directory", "last.ckpt is damaged", "resumes from previous.ckpt")
    run.previous.write_bytes(broken)
    only_problem(findings_of(tiny), "fault", "run directory", "no other to resume from", f"rm -r '{run.last.parent}'")
    run.last.unlink()
    only_problem(findings_of(tiny), "fault", "run directory", "previous.ckpt is damaged", f"rm -r '{run.last.parent}'")
    run.last.write_bytes(whole)
    assert problems(findings_of(tiny)) == []


def test_damaged_best_weights(tiny: Path) -> None:
    best = "evaluate.checkpoint=best"
    run = RunDirectory(tiny / "runs" / "tiny" / "default")
    run.prepare(to_yaml(experiment_in(tiny, best).points[0].config))
    run.best.parent.mkdir()
    torch.save({"weight": torch.arange(5000.0)}, run.best)
    assert problems(findings_of(tiny, best)) == []
    run.best.write_bytes(run.best.read_bytes()[:5000])
    only_problem(findings_of(tiny, best), "warning", "run directory", "best.ckpt is damaged", "the test will fail")


def test_a_live_lock(tiny: Path, run: RunDirectory) -> None:
    code = (
        "import sys; from pathlib import Path; from vlrouting.experiment import RunDirectory\n"
        "with RunDirectory(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    only_problem(findings_of(tiny), "fault", "run directory", f"in use by process {holder.pid}", "Wait for it")
    holder.communicate("")
    assert problems(findings_of(tiny)) == []
