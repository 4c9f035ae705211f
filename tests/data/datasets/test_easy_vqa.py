"""The easy-VQA recipe: its files, as the VQAv2 reader sees them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vlrouting.config import DataConfig
from vlrouting.data.datasets import easy_vqa
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError, Example
from vlrouting.data.images import load_image


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("easy_vqa")
    root = tmp_path_factory.mktemp("data") / "easy_vqa"
    easy_vqa.prepare(root)
    return root


@pytest.fixture(scope="module")
def splits(root: Path) -> dict[str, list[Example]]:
    return read_splits(DataConfig(root=str(root), prepare="easy_vqa", train="train", validation="val", test="test"))


def test_every_question_occurs_once(splits: dict[str, list[Example]]) -> None:
    assert len(splits["train"]) + len(splits["val"]) == 38_575
    assert len(splits["test"]) == 9_673
    ids = [example.id for examples in splits.values() for example in examples]
    assert len(set(ids)) == len(ids)


def test_no_image_is_in_two_splits(splits: dict[str, list[Example]]) -> None:
    images = {name: {example.images[0] for example in examples} for name, examples in splits.items()}
    assert {name: len(paths) for name, paths in images.items()} == {"train": 3600, "val": 400, "test": 1000}
    assert len({path.name for paths in images.values() for path in paths}) == 5000
    contents = {sha256(path.read_bytes()).digest() for paths in images.values() for path in paths}
    assert len(contents) == 5000  # there are no duplicate images


def test_questions_keep_their_images_and_answers(splits: dict[str, list[Example]]) -> None:
    package = importlib.import_module("easy_vqa")
    found = {}
    for source, names in ((0, ("train", "val")), (easy_vqa.TEST_OFFSET, ("test",))):
        found[source] = sorted(
            (example.text, example.answer, int(example.images[0].stem) - source)
            for name in names
            for example in splits[name]
        )
    assert found[0] == sorted(zip(*package.get_train_questions(), strict=True))
    assert found[easy_vqa.TEST_OFFSET] == sorted(zip(*package.get_test_questions(), strict=True))
    example = splits["test"][0]
    original = package.get_test_image_paths()[int(example.images[0].stem) - easy_vqa.TEST_OFFSET]
    assert load_image(example.images[0]).tobytes() == load_image(Path(original)).tobytes()


def test_types_and_scores(splits: dict[str, list[Example]]) -> None:
    for example in (example for examples in splits.values() for example in examples):
        assert example.labels == {example.answer: 1.0} and example.answers == (example.answer,) * 10
        assert (example.answer_type == "yes/no") == (example.answer in ("yes", "no"))
    by_type = {example.text: example.question_type for example in splits["train"]}
    assert by_type["does the image not contain a circle?"] == "does the image not contain"
    assert by_type["is there not a red shape?"] == "is there not"
    assert by_type["is there a circle?"] == "is there"
    assert by_type["what is the color of the shape?"] == "what is the color of"
    assert "none of the above" not in by_type.values()


def test_files_have_the_keys_of_the_official_loader(root: Path) -> None:
    content = json.loads((root / "questions_val.json").read_text())
    assert {"info", "task_type", "data_type", "data_subtype", "license", "questions"} == content.keys()
    record = json.loads((root / "annotations_val.json").read_text())["annotations"][0]
    assert [answer["answer_id"] for answer in record["answers"]] == list(range(1, 11))
    assert {answer["answer_confidence"] for answer in record["answers"]} == {"yes"}
    assert "MIT" in (root / "README.txt").read_text()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A package of 20 training images and 2 test images, with one question each."""
    (tmp_path / "picture.png").write_bytes(b"picture")
    paths = {number: str(tmp_path / "picture.png") for number in range(20)}
    package = SimpleNamespace(
        get_train_questions=lambda: (["is there a circle?"] * 20, ["yes"] * 20, list(range(20))),
        get_test_questions=lambda: (["what color is it?"] * 2, ["red"] * 2, [0, 1]),
        get_train_image_paths=lambda: paths,
        get_test_image_paths=lambda: paths,
    )
    imported = importlib.import_module

    def fake(name: str, *rest: Any) -> Any:
        return package if name == "easy_vqa" else imported(name, *rest)

    monkeypatch.setattr(importlib, "import_module", fake)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0")
    return package


def test_second_call_does_nothing(tmp_path: Path, package: SimpleNamespace) -> None:
    root = tmp_path / "data" / "easy_vqa"
    easy_vqa.prepare(root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    package.get_train_questions = None  # would fail
    easy_vqa.prepare(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert easy_vqa.problems(root) == []
    with pytest.raises(DataError, match=r"prepared\.json: .* made with seed 0 instead of 1"):
        easy_vqa.prepare(root, seed=1)


def test_missing_parts_are_reported(tmp_path: Path, package: SimpleNamespace) -> None:
    root = tmp_path / "easy_vqa"
    easy_vqa.prepare(root)
    (root / "annotations_val.json").unlink()
    shutil.rmtree(root / "images" / "test")
    data = DataConfig(root=str(root), prepare="easy_vqa", train="train", validation="val", test="test")
    with pytest.raises(DataError, match=r"lacks annotations_val\.json, images/test; remove the folder"):
        read_splits(data)


def test_the_seed_chooses_the_validation_images(tmp_path: Path, package: SimpleNamespace) -> None:
    chosen = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        easy_vqa.prepare(tmp_path / name, seed)
        chosen[name] = {path.name for path in (tmp_path / name / "images" / "val").iterdir()}
    assert len(chosen["a"]) == 2 and chosen["a"] == chosen["b"] != chosen["c"]


def test_incomplete_and_missing_package(
    tmp_path: Path, package: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    package.get_test_image_paths = dict
    with pytest.raises(DataError, match=r"lacks image 0 \(test\); reinstall"):
        easy_vqa.prepare(tmp_path / "incomplete")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'pip install "vlrouting\[demo\]"'):
        easy_vqa.prepare(tmp_path / "none")
