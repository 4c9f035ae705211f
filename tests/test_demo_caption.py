"""The captioning demo's own files, in a short run over a small world. Its numbers come from the demo itself."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import REPOSITORY, vlrouting
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, shapes_world: Path) -> Iterator[RunDirectory]:
    """A demo run of a few steps."""
    folder = tmp_path_factory.mktemp("demo")
    before = Path.cwd()
    os.chdir(REPOSITORY)
    try:
        cache = f"vision.cache_dir={folder / 'features'}"
        experiment = load("demo_caption", ["train.max_steps=40", f"data.root={shapes_world}", cache])
        points = [experiment.point("routing=mul")]
        assert train(experiment, points, folder / "runs") == {}
    finally:
        os.chdir(before)
    yield RunDirectory(folder / "runs" / "demo_caption" / "routing=mul")


def test_the_sheet_and_every_score_are_there(demo: RunDirectory) -> None:
    metrics = demo.read_metrics()
    assert metrics["test/examples"] == 8
    assert {f"test/{name}" for name in ("Bleu_4", "METEOR", "ROUGE_L", "CIDEr")} <= metrics.keys()
    assert demo.panel.is_file()
    assert sum(file.stat().st_size for file in demo.artifact.iterdir()) < 10_000_000


def test_the_language_model_speaks_the_worlds_english_before_it_sees_well(demo: RunDirectory) -> None:
    said = [json.loads(line)["prediction"] for line in demo.predictions.read_text().splitlines()]
    shapes = ("circle", "square", "triangle", "star", "cross", "shape")
    assert all(any(shape in text for shape in shapes) for text in said), said


def test_caption_prints_a_line_per_image(demo: RunDirectory) -> None:
    scene = REPOSITORY / "docs" / "scene.png"
    one, two = vlrouting("caption", demo.artifact, scene), vlrouting("caption", demo.artifact, scene, scene)
    assert one.returncode == 0, one.stderr
    assert two.stdout.splitlines() == [f"{scene}: {one.stdout.strip()}"] * 2
    wrong = vlrouting("caption", demo.artifact, "not_there.png")
    assert wrong.returncode == 2 and "not_there.png: there is no such image" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    asked = vlrouting("predict", demo.artifact, scene, "what is it?")
    assert asked.returncode == 2 and "use: vlrouting caption" in asked.stderr


def test_score_gives_the_runs_own_numbers(demo: RunDirectory, tmp_path: Path) -> None:
    done = vlrouting("score", demo.predictions, "--per-image", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    printed = {line[0]: float(line[1]) for line in lines if len(line) == 2 and line[1][0].isdigit()}
    for name in ("Bleu_4", "METEOR", "ROUGE_L", "CIDEr"):
        assert printed[name] == pytest.approx(demo.read_metrics()[f"test/{name}"], abs=0.006)
    assert len(json.loads((tmp_path / "scores.json").read_text())) == 8
    broken = tmp_path / "broken.jsonl"
    broken.write_text(demo.predictions.read_text()[:-30])
    wrong = vlrouting("score", broken)
    assert wrong.returncode == 2 and "broken.jsonl: line 8" in wrong.stderr and "Traceback" not in wrong.stderr


def test_a_world_is_made_on_the_command_line(tmp_path: Path) -> None:
    sizes = ["--train", "6", "--val", "2", "--test", "3"]
    done = vlrouting("data", "make", "shapes", "--root", tmp_path / "world", "--seed", "7", *sizes)
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "world" / "dataset_coco.json").read_text())["images"]) == 11
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    refused = vlrouting("data", "make", "shapes", "--root", tmp_path / "mine", *sizes)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"
    unknown = vlrouting("data", "make", "shape", "--root", tmp_path / "x")
    assert unknown.returncode == 2 and "there is no world 'shape'" in unknown.stderr
