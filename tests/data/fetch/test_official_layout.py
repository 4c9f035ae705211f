"""The shapes world, served as the official archives: fetched, checked, trained on and scored as the real data are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import Done, vlrouting
from tests.data.fetch.local_server import LocalServer
from tests.tiny_backbones import save_tiny_gpt2, save_tiny_roberta
from tools.official_shapes import pack
from vlrouting.config import DataConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.fetch.manifest import read_manifest

SPLITS = {
    "coco": ("train", "val", "test"),
    "vqav2": ("train2014", None, "val2014"),
    "gqa": ("train_balanced", "val_balanced", "testdev_balanced"),
    "nlvr2": ("train", "dev", "test1"),
}
"""Dataset -> splits to train on, to validate and to report."""


@pytest.fixture
def served(shapes_world: Path, server: LocalServer, tmp_path: Path) -> Path:
    """A folder with the manifests; the archives are served."""
    pack(shapes_world, tmp_path / "served", server.url)
    server.files |= {
        str(path.relative_to(tmp_path / "served")): path.read_bytes()
        for path in (tmp_path / "served").rglob("*")
        if path.is_file() and "asked" not in path.parts
    }
    return tmp_path


def fetch(folder: Path, dataset: str, *options: str) -> Done:
    manifest = folder / "served" / f"{dataset}.yaml"
    done = vlrouting("data", "fetch", dataset, "--manifest", manifest, *options, cwd=folder)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def fetched(folder: Path, dataset: str) -> None:
    """Fetch all of a dataset; NLVR2's images are in archives that one has to ask for."""
    if dataset == "nlvr2":
        done = fetch(folder, dataset)
        assert done.returncode == 2 and "nlvr2#direct-image-download" in done.stderr
        done = fetch(folder, dataset, "--from", "served/nlvr2/asked")
    else:
        done = fetch(folder, dataset)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dataset", SPLITS)
def test_every_split_is_read_with_its_official_counts(dataset: str, served: Path) -> None:
    fetched(served, dataset)
    manifest = read_manifest(served / "served" / f"{dataset}.yaml")
    assert fetch(served, dataset, "--split", "all").returncode == 0
    assert sum(len(counts) for counts in manifest.splits.values()) >= 3
    for split, counts in manifest.splits.items():
        data = DataConfig(name=dataset, root=str(served / "data" / dataset), train=split, test=split)
        examples = list(read_splits(data)[split])
        images = {image for example in examples for image in example.images}
        assert all(image.is_file() for image in images)
        found = {"questions": len(examples), "statements": len(examples), "images": len(images)}
        found |= {"images_per_example": len(examples[0].images)}
        found |= {"captions": sum(len(example.answers) for example in examples)}
        assert {what: found[what] for what in counts} == counts, split


def test_one_split_fetches_only_its_own_files(served: Path) -> None:
    assert fetch(served, "gqa", "--split", "testdev_balanced", "--only", "annotations").returncode == 0
    root = served / "data" / "gqa"
    assert [path.name for path in root.iterdir() if path.name != ".fetch"] == ["testdev_balanced_questions.json"]
    assert fetch(served, "gqa", "--file", "val_choices.json").returncode == 0
    assert (root / "val_choices.json").is_file() and not (root / "eval").exists()


def experiment(folder: Path, dataset: str, **sections: Any) -> None:
    """`folder/DATASET.yaml` on the official splits, under the default root."""
    train, validation, test = SPLITS[dataset]
    content: dict[str, Any] = {
        "data": {"name": dataset, "root": f"data/{dataset}", "train": train, "validation": validation, "test": test},
        "vision": {"name": "vit_tiny_patch16_224", "weights": "random", "image_size": 32},
        "bottleneck": {"rank": 4},
        "train": {"max_steps": 2, "batch_size": 4, "lr": 0.01, "accelerator": "cpu", "logger": []},
        "evaluate": {"panel": 0},
    }
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section} if isinstance(section, dict) else section
    (folder / f"{dataset}.yaml").write_text(yaml.safe_dump(content))


def of_questions(folder: Path, dataset: str) -> None:
    answers = {"answers": "trainval_label2ans.json"} if dataset == "vqav2" else {"min_answer_count": 1}
    language = {"name": str(save_tiny_roberta(folder / "roberta"))}
    experiment(folder, dataset, language=language, data=answers)


def of_captions(folder: Path, dataset: str) -> None:
    language = {"name": str(save_tiny_gpt2(folder / "gpt2"))}
    experiment(folder, dataset, task="captioning", language=language, generate={"beams": 1, "max_new_tokens": 4})


WRITE: dict[str, Callable[[Path, str], None]] = {
    "coco": of_captions,
    "vqav2": of_questions,
    "gqa": of_questions,
    "nlvr2": of_questions,
}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", WRITE)
def test_fetch_check_train_score(dataset: str, served: Path) -> None:
    WRITE[dataset](served, dataset)
    missing = vlrouting("validate", f"{dataset}.yaml", cwd=served)
    assert missing.returncode == 2 and f"vlrouting data fetch {dataset} --root data/{dataset}" in missing.stderr
    fetched(served, dataset)
    for command in (
        ("data", "check", dataset, "--manifest", f"served/{dataset}.yaml"),
        ("data", "show", dataset, "--out", "sheet.png"),
        ("validate", f"{dataset}.yaml"),
        ("train", f"{dataset}.yaml"),
        ("score", "--check", f"runs/{dataset}"),
    ):
        done = vlrouting(*command, cwd=served)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (served / "runs" / dataset / "default" / "metrics.json").is_file() and (served / "sheet.png").is_file()
