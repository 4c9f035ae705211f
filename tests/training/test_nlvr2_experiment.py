"""NLVR2 from its files to a scored artifact: two images an example, in their order, by features and by pixels."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.tiny_backbones import save_tiny_roberta
from vlrouting.data.example import DataError
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.metrics.nlvr2_evaluation import evaluate
from vlrouting.prediction.predictor import Predictor
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.inputs import SharedInputs


@pytest.fixture
def experiment(shapes_world: Path, tmp_path: Path) -> Experiment:
    sections: dict[str, Any] = {
        "data": {
            "name": "nlvr2", "root": str(shapes_world), "prepare": "shapes", "train": "train", "test": "test",
            "validation": "val", "min_answer_count": 1,
        },
        "vision": {
            "name": "vit_tiny_patch16_224", "weights": "random", "image_size": 32,
            "cache_dir": str(tmp_path / "features"),
        },
        "language": {"name": str(save_tiny_roberta(tmp_path / "roberta"))},
        "bottleneck": {"rank": 4},
        "train": {"max_steps": 4, "batch_size": 4, "lr": 0.01, "accelerator": "cpu"},
        "evaluate": {"panel": 2},
    }  # fmt: skip
    (tmp_path / "pairs.yaml").write_text(yaml.safe_dump(sections))
    return load(str(tmp_path / "pairs.yaml"))


def with_overrides(experiment: Experiment, *overrides: str) -> Experiment:
    return load(str(experiment.source), list(overrides))


def build(experiment: Experiment) -> Built:
    return build_point(experiment.points[0].config, SharedInputs(torch.device("cpu")))


def logits(built: Built, examples: list[Any]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = built.task.model.eval()(built.data.first.collate(examples))
        return found


@pytest.mark.parametrize("cache", ["true", "false"])
def test_swapping_the_two_images_changes_the_logits(experiment: Experiment, cache: str) -> None:
    built = build(with_overrides(experiment, f"vision.cache={cache}", "bottleneck.routing=mul"))
    torch.manual_seed(0)
    for parameter in built.task.model.language.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # fresh weights are so small that nothing comes through
    examples = list(built.data.first.test_examples)
    swapped = [replace(example, images=example.images[::-1]) for example in examples]
    straight, crossed = logits(built, examples), logits(built, swapped)
    assert straight.shape == (16, 2)
    assert ((straight - crossed).abs().amax(dim=1) > 1e-5).all()
    same = [replace(example, images=(example.images[0],) * 2) for example in examples]
    crossed_same = [replace(example, images=example.images[::-1]) for example in same]
    torch.testing.assert_close(logits(built, same), logits(built, crossed_same), rtol=0, atol=0)


def test_both_images_stand_in_prefix_and_context_left_before_right(experiment: Experiment) -> None:
    computed = build(with_overrides(experiment, "vision.cache=true"))
    decoded = build(with_overrides(experiment, "vision.cache=false"))
    example = computed.data.first.test_examples[0]
    batch, pixels = computed.data.first.collate([example]), decoded.data.first.collate([example])
    assert batch["visual"].shape == (1, 2, 192) and pixels["visual"].shape == (1, 2, 3, 32, 32)
    model = decoded.task.model
    encoded = model.visual_features(pixels)
    assert encoded is not None and model.vision is not None and model.visual_shape == (2, 192)
    torch.testing.assert_close(encoded, computed.task.model.visual_features(batch))
    for side in (0, 1):  # each image by itself
        torch.testing.assert_close(batch["visual"][:, side : side + 1], model.vision(pixels["visual"][:, side]))


def test_the_same_run_by_features_and_by_pixels(experiment: Experiment, tmp_path: Path) -> None:
    said, runs = [], []
    for cache in ("true", "false"):
        chosen = with_overrides(experiment, f"vision.cache={cache}", "bottleneck.routing=gram")
        assert train(chosen, chosen.points, tmp_path / cache) == {}
        run = RunDirectory(tmp_path / cache / "pairs" / "default")
        said.append([json.loads(line) for line in run.predictions.read_text().splitlines()])
        runs.append(run)
    assert said[0] == said[1]
    assert {record["cluster"] for record in said[0]} == {"-".join(record["id"].split("-")[:2]) for record in said[0]}
    assert {record["prediction"] for record in said[0]} <= {"true", "false"}
    truth = [{"identifier": record["id"], "label": record["references"][0]} for record in said[0]]
    expected = evaluate(truth, {record["id"]: record["prediction"] for record in said[0]})
    metrics = runs[0].read_metrics()
    for name in ("accuracy", "consistency"):
        assert metrics[f"test/{name}"] == pytest.approx(100 * expected[name])
        assert f"validation/{name}" in metrics
    assert metrics["test/accuracy"] == pytest.approx(sum(record["score"] for record in said[0]) / len(said[0]))
    lines = (runs[0].path / "nlvr2_results.csv").read_text().splitlines()
    assert lines == [f"{record['id']},{record['prediction']}" for record in said[0]]
    trained = Predictor(runs[1].artifact)
    for record in said[0]:
        images = [Path(image) for image in record["images"]]
        assert trained.answer(images, record["question"]).text == record["prediction"]


@pytest.mark.parametrize("cache", ["true", "false"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_broken_image_of_a_pair_is_named(experiment: Experiment, tmp_path: Path, cache: str, side: int) -> None:
    root = tmp_path / "copy"
    shutil.copytree(experiment.points[0].config.data.root, root)
    broken = root / "nlvr2" / "images" / "test" / f"test-0-2-img{side}.png"
    broken.write_bytes(broken.read_bytes()[:60])
    point = with_overrides(experiment, f"data.root={root}", f"vision.cache={cache}", "train.max_steps=1")
    with pytest.raises(DataError, match=rf"test-0-2-img{side}\.png: no image, or a truncated or damaged one"):
        train(point, point.points, tmp_path / "runs")
