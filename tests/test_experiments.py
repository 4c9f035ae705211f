"""Every experiment that ships, in miniature: two training steps, predictions, scores, and back from the artifact.

Small random backbones of the named families over a small shapes world. What the experiments come to is shown by
running them; here everything that they name must fit together.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_backbones import (
    save_tiny_bart,
    save_tiny_bert,
    save_tiny_gpt2,
    save_tiny_llama,
    save_tiny_roberta,
    save_tiny_t5,
)
from vlrouting.backbones.location import missing_backbones
from vlrouting.config import ExperimentConfig, Problem
from vlrouting.data.datasets.presence import missing_files
from vlrouting.experiment import Experiment, Point, RunDirectory, known_experiments, load
from vlrouting.launch.in_process import train
from vlrouting.prediction.predictor import Predictor
from vlrouting.shapes import SPLITS

FOLDER = Path(__file__).parents[1] / "experiments"
NAMES = known_experiments(FOLDER)
TINY_LANGUAGE: dict[str, Callable[[Path], Path]] = {
    "roberta": save_tiny_roberta,
    "minilm": save_tiny_bert,
    "gpt2": save_tiny_gpt2,
    "smollm": save_tiny_llama,
    "t5": save_tiny_t5,
    "llama": save_tiny_llama,
    "bart": partial(save_tiny_bart, positions=144),  # two images of 36 tokens, a prompt of 40, and a statement
}
"""Part of a language model's name -> one of its family."""
TINY_VISION = {
    "vit": "vit_tiny_patch16_224",
    "efficientnet": "tf_efficientnet_lite0",
    "_clip": "resnet50_clip",
    "swinv2": "swinv2_tiny_window8_256",
}
SMALL = (
    *("train.epochs=null", "train.warmup_steps=null", "train.accumulate=1"),
    *("train.workers=0", "train.precision=32-true", "train.accelerator=cpu", "evaluate.panel=2"),
    *("vision.weights=random", "vision.image_size=32", "language.gguf_file=null"),
)
"""Overrides of every experiment."""
OVERRIDDEN = {"train.max_steps", "language.name", "language.gguf_file", "vision.name"}
"""Keys that `small` sets for all points and that points of an experiment may set themselves."""


@pytest.fixture(scope="module")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("backbones")
    return {family: save(folder / family) for family, save in TINY_LANGUAGE.items()}


def of_family(known: dict[str, Any], name: str) -> Any:
    """What is known of the family that a backbone's name tells."""
    (found,) = {family: value for family, value in known.items() if family in name.lower()}.values()
    return found


def small(name: str, world: Path, backbones: dict[str, Path]) -> Experiment:
    """The experiment over the small world; points that set one of the overridden keys themselves are left out."""
    config = shipped(name).points[0].config
    overrides = [
        *SMALL,
        f"train.max_steps={max(2, len(config.datasets))}",
        # Without Java there is no CIDEr to choose by; the tuning itself is run by the study of question answering.
        *(["sweep.tune=null"] if config.generates else []),
        *(["vision.pool=[1, 1]"] if config.vision.pool else []),
        f"vision.name={of_family(TINY_VISION, config.vision.name)}",
        f"vision.cache_dir={world.parent / 'features'}",
        f"language.name={of_family(backbones, config.language.name)}",
        *(override for dataset in config.per_dataset for override in small_dataset(config, dataset, world)),
    ]
    return load(name, overrides, FOLDER, check_files=files_of)


def small_dataset(config: ExperimentConfig, name: str, world: Path) -> list[str]:
    """Overrides of a dataset: its files are those of the small world."""
    data = config.per_dataset[name].data
    splits = SPLITS[data.name]
    values = {
        **{"root": world, "prepare": "shapes", "splits": "{}", "train": "train"},
        "validation": "val" if data.validation else "null",
        "test": data.test if data.test in splits else "test",
        **({} if config.generates else {"answers": "null", "min_answer_count": 1}),
    }
    section = f"datasets.{name}" if config.datasets else "data"
    generate = f"{section}.generate" if config.datasets and config.datasets[name].generate else "generate"
    return [
        *(f"{section}.{key}={value}" for key, value in values.items()),
        f"{section if config.datasets else 'train'}.batch_size=4",
        *([f"{generate}.max_new_tokens=4"] if config.generates else []),
    ]


def files_of(config: ExperimentConfig) -> list[Problem]:
    return [
        problem for view in config.per_dataset.values() for problem in missing_files(view.data)
    ] + missing_backbones(config)


CONTROLS = sorted(path.stem for path in (FOLDER / "base" / "controls").glob("*.yaml"))


@pytest.mark.parametrize("demo", ["demo_vqa", "demo_caption"])
def test_controls_are_points_of_any_experiment(demo: str, tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "experiments")
    without = {point.name for point in load(demo, experiments_dir=folder).points}
    (folder / "x.yaml").write_text(f"extends: [{demo}, base/controls/all]\n")
    points = {point.name: point.config for point in load("x", experiments_dir=folder).points}
    one_by_one = set()
    for control in CONTROLS:
        (folder / "y.yaml").write_text(f"extends: [{demo}, base/controls/{control}]\n")
        one_by_one |= {point.name for point in load("y", experiments_dir=folder).points}
    assert points.keys() == one_by_one > without
    inputs = {name: points[name].model.visual_input for name in points}
    assert inputs["shuffled_baseline"] == inputs["shuffled_routing"] == "shuffled"
    assert (inputs["noise"], inputs["ones"], inputs["text_only"]) == ("noise", "ones", "none")
    assert points["shuffled_routing"].bottleneck.routed and not points["shuffled_baseline"].bottleneck.routed
    assert points["plain_lora"].bottleneck.kind == "lora" and not points["plain_lora"].bottleneck.routed
    assert (points["frozen"].bottleneck.kind, points["frozen"].model.unfreeze) == ("none", [])
    assert (points["full_fine_tuning"].bottleneck.kind, points["full_fine_tuning"].model.unfreeze) == ("none", ["all"])


@cache
def shipped(name: str) -> Experiment:
    return load(name, experiments_dir=FOLDER)


@cache
def plan() -> dict[str, list[str]]:
    """Which points of every experiment are run: of points that differ in numbers, routing functions and backbones only,
    one in all experiments, a routed one where there is one; and at least one of every experiment."""
    found: dict[str, list[str]] = {}
    met: set[object] = set()
    for name in NAMES:
        points = [point for point in shipped(name).points if not point.differing.keys() & OVERRIDDEN]
        points.sort(key=is_routed)
        of = {combination(point.config): point.name for point in points}
        found[name] = [point for key, point in of.items() if key not in met] or [points[-1].name]
        met |= of.keys()
    return found


def combination(config: ExperimentConfig) -> object:
    kinds = [choices(asdict(bottleneck)) for bottleneck in config.named_bottlenecks.values()]
    image = (config.model.visual_input, config.model.visual_prefix, config.vision.features)
    return (config.architecture, len(config.datasets), *kinds, *config.model.unfreeze, *image)


def choices(keys: dict[str, Any]) -> tuple[tuple[str, str | bool], ...]:
    return tuple((key, value) for key, value in keys.items() if key != "routing" and isinstance(value, (str, bool)))


def is_routed(point: Point) -> bool:
    return any(bottleneck.routed for bottleneck in point.config.named_bottlenecks.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_point_is_sound(name: str) -> None:
    experiment = shipped(name)
    assert len(experiment.points) > 1
    assert any(map(is_routed, experiment.points)) or "baselines" in name
    needs_a_package = "pip install" in (FOLDER / f"{name}.yaml").read_text().splitlines()[0]
    if experiment.points[0].config.per_dataset.popitem()[1].data.prepare == "shapes" and not needs_a_package:
        load(name, experiments_dir=FOLDER, check_files=files_of)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_in_miniature(
    name: str, shapes_world: Path, backbones: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # METEOR's program alone would take ten seconds; its own tests start it
    experiment = small(name, shapes_world, backbones)
    points = [point for point in experiment.points if point.name in plan()[name]]
    assert len(points) == len(plan()[name]) > 0
    assert train(experiment, points, tmp_path) == {}
    for point in points:
        run = RunDirectory(tmp_path / name / point.name)
        assert run.is_complete()
        assert_scored(run)
        records = [json.loads(line) for line in run.predictions.read_text().splitlines()]
        for dataset in point.config.per_dataset:
            several = bool(point.config.datasets)
            of_it = [record for record in records if not several or record["dataset"] == dataset]
            scored = run.read_metrics()[f"test/{dataset}/examples" if several else "test/examples"]
            assert len({record["id"] for record in of_it}) == scored > 0
            (server_file,) = run.path.glob(f"{dataset}_*results.*" if several else "*_results.*")
            assert server_file.stat().st_size > 0
            if point.config.model.visual_input != "shuffled":  # it answers about another image
                assert_the_artifact_predicts_the_same(run, dataset, of_it[:3])


def assert_scored(run: RunDirectory) -> None:
    """The number that points are compared by is there, or is lacking for the one reason that this test gives."""
    info, metrics = run.read_run(), run.read_metrics()
    main = str(info["main_metric"])
    lacking: Any = info["not_computed"]
    assert main in metrics or "Java is not on PATH" in lacking[main.removeprefix("test/")]


def assert_the_artifact_predicts_the_same(run: RunDirectory, dataset: str, records: list[dict[str, Any]]) -> None:
    trained = Predictor(run.artifact, dataset=dataset)
    for record in records:
        images = [Path(path) for path in record.get("images") or [record["image"]]]
        if "question" in record:
            said = trained.answer(images, record["question"]).text
        else:
            (said,) = trained.caption(images)
        assert said == record["prediction"]
