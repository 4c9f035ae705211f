"""Every block of the guides is run, in the order in which a reader types it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")


def follow(guide: str, folder: Path) -> list[str]:
    """Do what a guide says in a folder: write its files, run its commands. Returns what the commands print."""
    shutil.copytree(REPOSITORY / "experiments" / "base", folder / "experiments" / "base")
    printed = []
    for language, text in BLOCK.findall((REPOSITORY / "docs" / guide).read_text(encoding="utf-8")):
        if language == "bash":
            printed.append(run(text, folder))
        else:
            name = FILE.match(text)
            assert name is not None, f"{guide}: a block without the name of its file: {text[:60]}"
            (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / name[1]).write_text(text, encoding="utf-8")
    return printed


def run(commands: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{commands}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
def test_adding_a_dataset(tmp_path: Path) -> None:
    _, printed = follow("adding-a-dataset.md", tmp_path)
    assert "experiments/flags.yaml: 2 points" in printed
    assert "flags accuracy" in (tmp_path / "runs" / "flags" / "comparison.md").read_text()
    done = tmp_path / "runs" / "flags" / "routing=mul"
    records = [json.loads(line) for line in (done / "predictions.jsonl").read_text().splitlines()]
    assert len(records) == 90
    right = sum(record["prediction"] == record["references"][0] for record in records)
    assert json.loads((done / "metrics.json").read_text())["test/accuracy"] == pytest.approx(100 * right / 90)
    assert json.loads((done / "flags_results.json").read_text()).keys() == {record["id"] for record in records}
    answers = json.loads((done / "artifact" / "adapter_config.json").read_text())["answers"]
    assert sorted(answers) == ["blue", "green", "red", "white"]
    assert_mistakes_are_sentences(tmp_path)


WRONG = {
    "data.name=flagz": "'flagz' is not one of vqav2, coco, gqa, nlvr2, flags. Did you mean 'flags'?",
    "task=captioning": "captioning is for coco, not for flags",
    "data.root=elsewhere": "elsewhere/train.csv is missing (data.splits.train.questions); put it there, or correct",
    "data.train=trian": "Did you mean 'train'?",
}
"""Override -> part of what is said."""
CHECK_WRONG = """
import sys
from vlrouting.experiment import ExperimentErrors, load
from vlrouting.training.user_errors import missing_files_of
for override in sys.argv[1:]:
    try:
        load("flags", [override], check_files=missing_files_of)
    except ExperimentErrors as error:
        print(error)
"""


def assert_mistakes_are_sentences(folder: Path) -> None:
    """Of an experiment with a dataset of one's own; in one process, because the plugin imports torch."""
    (folder / "check_wrong.py").write_text(CHECK_WRONG)
    printed = run(f"python check_wrong.py {' '.join(WRONG)}", folder)
    for override, sentence in WRONG.items():
        assert sentence in printed, f"{override}: {printed}"


@pytest.mark.slow
def test_adding_a_routing_function(tmp_path: Path) -> None:
    _, printed = follow("adding-a-routing-function.md", tmp_path)
    assert "experiments/gated.yaml: 2 points" in printed
    for routing in ("none", "gated"):
        assert (tmp_path / "runs" / "gated" / f"routing={routing}" / "artifact" / "adapter_config.json").is_file()
    assert re.search(r"^ *\d+\.\d%  \w+$", printed, re.MULTILINE)


def trained_parameters(run: Path) -> int:
    return int(json.loads((run / "run.json").read_text())["trained_parameters"])


@pytest.mark.slow
def test_adding_a_bottleneck_kind(tmp_path: Path) -> None:
    printed = follow("adding-a-bottleneck-kind.md", tmp_path)[-1]
    assert "experiments/ssf.yaml: 3 points" in printed
    runs = tmp_path / "runs" / "ssf"
    assert trained_parameters(runs / "ssf") > trained_parameters(runs / "scale_only")
    stored = json.loads((runs / "ssf" / "artifact" / "adapter_config.json").read_text())
    assert stored["experiment"]["bottleneck"]["kind"] == "ssf" and stored["experiment"]["bottleneck"]["shift"] is True
    wrong = subprocess.run(
        [sys.executable, "-m", "vlrouting.cli", "validate", "ssf", "bottleneck.shfit=true"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True,
    )  # fmt: skip
    assert wrong.returncode == 2 and "Did you mean 'bottleneck.shift'?" in wrong.stderr


@pytest.mark.slow
def test_adding_a_transform(tmp_path: Path) -> None:
    (printed,) = follow("adding-a-transform.md", tmp_path)
    assert "experiments/sparse.yaml: 2 points" in printed
    stored = json.loads((tmp_path / "runs/sparse/sparsity=0.6/artifact/adapter_config.json").read_text())
    assert stored["experiment"]["language"]["transforms"] == {"magnitude": {"sparsity": 0.6}}


@pytest.mark.slow
def test_adding_a_selector(tmp_path: Path) -> None:
    (printed,) = follow("adding-a-selector.md", tmp_path)
    assert "experiments/selected.yaml: 2 points" in printed
    for count in (2, 4):
        stored = json.loads((tmp_path / f"runs/selected/count={count}/artifact/adapter_config.json").read_text())
        assert len(stored["places"]["bottleneck"]) == count


@pytest.mark.slow
def test_adding_a_task(tmp_path: Path) -> None:
    (printed,) = follow("adding-a-task.md", tmp_path)
    assert "experiments/yes_no.yaml: 2 points" in printed
    done = tmp_path / "runs" / "yes_no" / "routing=mul"
    records = [json.loads(line) for line in (done / "predictions.jsonl").read_text().splitlines()]
    assert {record["prediction"] for record in records} <= {"yes", "no"}
    assert {record["references"][0] for record in records} > {"yes", "no"}
    assert json.loads((done / "artifact" / "adapter_config.json").read_text())["answers"] == ["yes", "no"]
    shares = [float(share) for share in re.findall(r"^ *(\d+\.\d)%  (?:yes|no)$", printed, re.MULTILINE)]
    assert len(shares) == 2 and sum(shares) == pytest.approx(100, abs=0.11)
    plugin = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs" / "adding-a-task.md").read_text(), re.DOTALL)
    assert plugin is not None and len(plugin[1].splitlines()) <= 40


def test_every_file_that_a_guide_names_is_there() -> None:
    for guide in (REPOSITORY / "docs").glob("*.md"):
        for path in re.findall(r"`((?:vlrouting|experiments)/[\w/.]+)`", guide.read_text(encoding="utf-8")):
            assert (REPOSITORY / path).exists(), f"{guide.name}: {path}"
