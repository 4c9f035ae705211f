"""`vlrouting validate` as a user meets it: one message, status 2, no traceback, and nothing heavy imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vlrouting.config import ROUTINGS
from vlrouting.experiment import known_experiments, load

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "lightning", "transformers", "timm", "torchmetrics", "torchvision", "matplotlib", "pandas"}

FIVE = """\
data:
  root: nowhere
bottleneck:
  rnk: 8
  routing: mull
  kind: adapter
  alpha: 4
train: {max_steps: 10, lr: fast}
"""


def validate(folder: Path, *arguments: str) -> tuple[int, str, str, set[str]]:
    """Status, what was printed, what was complained about, and the packages that were imported."""
    command = [sys.executable, "-X", "importtime", "-m", "vlrouting.cli", "validate", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    times, said = [], []
    for line in done.stderr.splitlines():
        (times if line.startswith("import time:") else said).append(line)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in times}
    assert {"vlrouting", "typer"} <= imported  # else the imports were not measured
    return done.returncode, done.stdout, "\n".join(said), imported


def test_five_errors_at_once(tmp_path: Path) -> None:
    (tmp_path / "five.yaml").write_text(FIVE)
    status, printed, said, imported = validate(tmp_path, "five.yaml")
    assert (status, printed) == (2, "")
    assert "Traceback" not in said
    for pattern in (
        r"five\.yaml:4: bottleneck\.rnk: unknown key\. Did you mean 'bottleneck\.rank'\?",
        r"five\.yaml:5: bottleneck\.routing: 'mull' is not one of none, add, mul, .* Did you mean 'mul'\?",
        r"five\.yaml:7: bottleneck\.alpha: kind of bottleneck 'adapter' has no key 'alpha'\. Its keys: kind, ",
        r"five\.yaml:8: train\.lr: expected a number, got 'fast'",
        r"five\.yaml:2: data\.root: nowhere/v2_OpenEnded_mscoco_train2014_questions\.json is missing .* fetch it: ",
    ):
        assert re.search(pattern, said), said
    assert not imported & HEAVY


def test_a_sound_experiment_lists_its_points(tmp_path: Path) -> None:
    sweep = "sweep: {grid: {bottleneck.routing: [add, mul], seed: [1, 2]}}"
    folder = "data: {root: data, train: t, test: t, splits: {t: {questions: q.json, images: '{image_id}.jpg'}}}"
    (tmp_path / "fine.yaml").write_text(f"train: {{max_steps: 1}}\n{folder}\n{sweep}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "q.json").write_text("[]")
    status, printed, said, imported = validate(tmp_path, "fine.yaml", "seed=3")
    assert (status, said) == (0, "")
    assert printed.splitlines() == ["fine.yaml: 2 points", "  routing=add,seed=3", "  routing=mul,seed=3"]
    assert not imported & HEAVY


def test_an_unknown_experiment_and_a_wrong_override(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "demo.yaml").write_text("train: {max_steps: 1}\n")
    status, _, said, _ = validate(tmp_path, "demoo")
    assert (status, said.count("\n")) == (2, 0)
    assert "no experiment 'demoo'. Did you mean 'demo'? Known ones in experiments/: demo." in said
    status, _, said, _ = validate(tmp_path, "demo", "train.lrr=1")
    assert status == 2
    assert "command line: train.lrr: unknown key. Did you mean 'train.lr'?" in said


def shipped() -> list[str]:
    return known_experiments(ROOT / "experiments")


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_experiments_are_valid(name: str) -> None:
    experiment = load(name, experiments_dir=ROOT / "experiments", check_files=None)
    assert experiment.name == name
    assert len(experiment.points) > 1
    bottlenecks = [b for point in experiment.points for b in point.config.named_bottlenecks.values()]
    assert {"none"} <= {bottleneck.routing for bottleneck in bottlenecks} <= set(ROUTINGS)


def test_there_are_shipped_experiments() -> None:
    assert {"demo_vqa", "vqav2_roberta_routing", "vqav2_roberta_large_routing"} <= set(shipped())
