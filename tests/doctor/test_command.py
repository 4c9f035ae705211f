"""The command: what it prints, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vlrouting.cli import app


def test_a_valid_experiment(tiny: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(tiny / "tiny.yaml"), "--runs", str(tiny / "runs")])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "tiny: 1 point" and lines[-1].startswith("0 faults, 0 warnings, ")
    assert all(line.startswith("ok ") for line in lines[1:-1])


def test_faults_come_first_with_their_remedy(tiny: Path) -> None:
    (tiny / "data" / "v2_mscoco_val2014_annotations.json").unlink()
    overrides = ["train.precision=16-mixed", f"vision.cache_dir={tiny / 'features'}"]
    done = CliRunner().invoke(app, ["doctor", str(tiny / "tiny.yaml"), *overrides, "--runs", str(tiny / "runs")])
    assert done.exit_code == 2, done.output
    lines = done.output.splitlines()
    assert lines[1].startswith("fault   data: ") and "val2014_annotations.json is missing" in lines[1]
    assert lines[2].startswith(
        f"        → fetch it: vlrouting data fetch vqav2 --root {tiny / 'data'} --only annotations"
    )
    assert lines[3].startswith("warning devices: ") and lines[4].startswith("        → ")
    assert lines[5].startswith("ok ") and lines[-1].startswith("1 fault, 1 warning, ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--launcher", "slrum"], "there is no launcher 'slrum'; there are: local, slurm, process"),
        (["--point", "routing=none"], "has no point 'routing=none'"),
        (["train.lr=fast"], "train.lr"),
    ],
)
def test_errors_on_the_command_line(tiny: Path, arguments: list[str], word: str) -> None:
    done = CliRunner().invoke(app, ["doctor", str(tiny / "tiny.yaml"), *arguments])
    assert word in str(done.exception)
