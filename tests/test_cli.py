import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import REPOSITORY, vlrouting
from tests.tiny_experiment import write_experiment
from vlrouting.experiment import RunDirectory


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from vlrouting.cli import app
try:
    app(["--help"])
except SystemExit:
    pass
heavy = {"torch", "lightning", "transformers", "timm", "yaml", "matplotlib", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for command in ("validate", "train", "evaluate", "compare", "predict"):
        assert command in done.stdout


def test_validate_imports_no_torch() -> None:
    code = """
import sys, time
from vlrouting.cli import app
try:
    app(["validate", "demo_vqa"])
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {"torch", "lightning", "transformers", "timm", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
assert time.process_time() < 1  # it takes a third of a second; a shared machine may be slower
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "3 points" in done.stdout and "routing=mul" in done.stdout and "text_only" in done.stdout


def test_the_papers_experiment_without_its_data_says_what_to_fetch() -> None:
    done = vlrouting("train", "vqav2_roberta_routing", "data.root=data/not_there")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for needed in (
        "v2_OpenEnded_mscoco_train2014_questions.json",
        "train2014 is missing",
        "trainval_label2ans.json",
        "data fetch",
    ):
        assert needed in done.stderr


@pytest.mark.slow
def test_train_evaluate_compare_predict(tmp_path: Path) -> None:
    write_experiment(tmp_path, sweep={"grid": {"bottleneck.routing": ["none", "mul"]}})
    trained = vlrouting("train", "tiny.yaml", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "routing=none" in trained.stdout and "routing=mul" in trained.stdout
    assert (tmp_path / "runs" / "tiny" / "comparison.md").is_file()
    assert vlrouting("evaluate", "tiny.yaml", "-p", "routing=mul", cwd=tmp_path).returncode == 0
    compared = vlrouting("compare", "tiny.yaml", cwd=tmp_path)
    assert compared.returncode == 0 and "routing=mul" in compared.stdout
    artifact = tmp_path / "runs" / "tiny" / "routing=mul" / "artifact"
    image = next((tmp_path / "data" / "val2014").iterdir())
    predicted = vlrouting("predict", artifact, image, "what color is it ?", "--top", "2", cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    assert len(predicted.stdout.strip().splitlines()) == 2 and "%" in predicted.stdout
    for wrong in (
        ("predict", tmp_path, image, "what?"),
        ("predict", artifact, tmp_path / "none.png", "what?"),
        ("train", "tiny.yaml", "-p", "routing=mull"),
        ("compare", "nothing"),
        ("evaluate", "tiny.yaml", "--runs", tmp_path / "empty"),
    ):
        done = vlrouting(*wrong, cwd=tmp_path)
        assert done.returncode == 2, wrong
        assert done.stderr.startswith("vlrouting: ") and "Traceback" not in done.stderr, wrong


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists() or os.geteuid() != 0, reason="mounts a small file system, as root")
def test_a_full_disk_is_one_sentence_and_the_run_goes_on(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        command = [sys.executable, "-m", "vlrouting.cli", "train", "tiny.yaml", "--runs", small]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 2, done.stderr
        assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=50m", small], check=True)
        assert vlrouting("train", "tiny.yaml", "--runs", small, cwd=tmp_path).returncode == 0
        assert RunDirectory(small / "tiny" / "default").is_complete()
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)
