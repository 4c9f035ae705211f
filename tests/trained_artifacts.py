"""Tiny trained artifacts, each trained once per test process; tests must not change them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.tiny_experiment import write_caption_experiment, write_experiment
from vlrouting.experiment import load
from vlrouting.launch.in_process import train

_FOLDERS: dict[str, Path] = {}
"""Trained already: every module that imports a fixture has one of its own."""


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny.yaml`, its data and `runs/tiny/{routing=mul,routing=none}`, which answer about one image."""
    return _once("questions", lambda: _trained("questions", tmp_path_factory))


@pytest.fixture(scope="session")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/tiny/default`, which captions."""
    return _once("captions", lambda: _trained("captions", tmp_path_factory))


@pytest.fixture(scope="session")
def pairs(questions: Path, shapes_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/pairs/default`, which judges statements about two images."""
    return _once("pairs", lambda: _trained_pairs(questions, shapes_world, tmp_path_factory))


def _once(name: str, make: Callable[[], Path]) -> Path:
    if name not in _FOLDERS:
        _FOLDERS[name] = make()
    return _FOLDERS[name]


def _trained(which: str, factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp(which)
    few = {"max_steps": 2, "checkpoint_every_steps": 2, "validate_every_steps": None}
    if which == "questions":
        write_experiment(folder, 16, sweep={"grid": {"bottleneck.routing": ["none", "mul"]}}, train=few)
    else:
        write_caption_experiment(folder, 8, train=few)
    return _run(folder / "tiny.yaml")


def _trained_pairs(questions: Path, world: Path, factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp("pairs")
    sections = yaml.safe_load((questions / "tiny.yaml").read_text())
    splits = {"train": "train", "test": "test", "validation": None, "min_answer_count": 1}
    sections["data"] = {"name": "nlvr2", "root": str(world), "prepare": "shapes", **splits}
    sections["vision"]["cache_dir"] = str(folder / "features")
    sections["train"] |= {"batch_size": 4}
    del sections["sweep"]
    (folder / "pairs.yaml").write_text(yaml.safe_dump(sections))
    return _run(folder / "pairs.yaml")


def _run(file: Path) -> Path:
    experiment = load(str(file))
    assert train(experiment, experiment.points, file.parent / "runs") == {}
    return file.parent


def copy_with(artifact: Path, to: Path, **experiment: object) -> Path:
    """A copy of an artifact with changed keys of its experiment."""
    shutil.copytree(artifact, to)
    file = to / "adapter_config.json"
    stored = json.loads(file.read_text())
    stored["experiment"] |= experiment
    file.write_text(json.dumps(stored))
    return to


def picture(folder: Path) -> Path:
    """One of the images that an artifact was trained with."""
    return min(path for path in (folder / "data").rglob("*") if path.suffix in (".jpg", ".png"))
