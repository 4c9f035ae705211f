"""The world's files: determined by the seed, and valid for the reader of every format."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tools.shapes_evaluator.evaluator import answer_is_true, caption_is_true, statement_is_true
from vlrouting.data.datasets import coco, gqa, nlvr2, vqav2
from vlrouting.data.example import DataError
from vlrouting.data.images import load_image
from vlrouting.metrics.gqa_evaluation import evaluate
from vlrouting.shapes import SPLITS, files, make_world, prepare, problems
from vlrouting.shapes.draw import draw
from vlrouting.shapes.scene import Scene, Thing

SIZES = {"train": 24, "val": 5, "test": 16}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "shapes"
    make_world(root, seed=7, **SIZES)
    return root


@pytest.fixture(scope="module")
def scenes(root: Path) -> dict[str, Scene]:
    return {
        path: Scene(tuple(Thing(**thing) for thing in record["things"]), record["background"])
        for path, record in json.loads((root / "scenes.json").read_text()).items()
    }


def tree(root: Path) -> dict[str, str]:
    """Digest of every file by its path."""
    return {
        path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_seed_determines_the_bytes(root: Path, tmp_path: Path) -> None:
    make_world(tmp_path / "again", seed=7, **SIZES)
    assert tree(tmp_path / "again") == tree(root)
    make_world(tmp_path / "other", seed=8, **SIZES)
    other = tree(tmp_path / "other")
    assert other.keys() == tree(root).keys()
    same = [path for path, digest in tree(root).items() if other[path] == digest]
    assert same == ["README.txt"]


def test_bytes_do_not_depend_on_the_process(root: Path, tmp_path: Path) -> None:
    """In particular not on the iteration order of sets, which differs between processes."""
    code = "import sys, pathlib, vlrouting.shapes as s; s.make_world(pathlib.Path(sys.argv[1]), 7, 24, 5, 16)"
    run = [sys.executable, "-c", code, str(tmp_path / "w")]
    subprocess.run(run, check=True, env={"PYTHONHASHSEED": "123", "PYTHONPATH": "."}, timeout=120)
    assert tree(tmp_path / "w") == tree(root)


def test_a_larger_world_starts_with_the_smaller(root: Path, tmp_path: Path) -> None:
    make_world(tmp_path / "larger", seed=7, train=30, val=5, test=16)
    larger, smaller = tree(tmp_path / "larger"), tree(root)
    assert all(larger[path] == digest for path, digest in smaller.items() if path.startswith("images/"))


def test_images_show_the_listed_scenes(root: Path, scenes: dict[str, Scene]) -> None:
    assert {path for path in tree(root) if path.endswith(".png")} == scenes.keys()
    for path, scene in scenes.items():
        assert load_image(root / path).tobytes() == draw(scene).tobytes()


def test_held_out_combinations_only_in_test(scenes: dict[str, Scene]) -> None:
    shown = Counter((path.rsplit("/", 1)[0], any(t.held_out for t in scene.things)) for path, scene in scenes.items())
    for folder in ("images", "nlvr2/images"):
        assert shown[f"{folder}/train", True] == shown[f"{folder}/val", True] == 0
        assert shown[f"{folder}/train", False] > 0
        assert shown[f"{folder}/test", True] > 0 < shown[f"{folder}/test", False]
    assert shown["images/test", True] == shown["images/test", False] == 8


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_vqav2_reader(root: Path, scenes: dict[str, Scene], split: str) -> None:
    examples = list(vqav2.read_split(root, split, SPLITS["vqav2"][split]))
    assert len(examples) == 4 * SIZES[split]
    for example in examples:
        assert len(example.answers) == 10 and max(example.labels, key=lambda word: example.labels[word])
        assert answer_is_true(example.text, example.answer, scenes[_path(root, example.images[0])])
    content = json.loads((root / f"questions_{split}.json").read_text())
    assert content.keys() == {"info", "task_type", "data_type", "data_subtype", "license", "questions"}
    assert (content["data_type"], content["data_subtype"]) == ("shapes", split)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_coco_reader(root: Path, scenes: dict[str, Scene], split: str) -> None:
    examples = list(coco.read_split(root, split, SPLITS["coco"][split]))
    assert len(examples) == SIZES[split]
    for example in examples:
        assert len(example.answers) == 5
        assert all(caption_is_true(caption, scenes[_path(root, example.images[0])]) for caption in example.answers)


def test_karpathy_file(root: Path) -> None:
    content = json.loads((root / "dataset_coco.json").read_text())
    images = content["images"]
    assert Counter(image["split"] for image in images) == {"train": 22, "restval": 2, "val": 5, "test": 16}
    assert [image["imgid"] for image in images] == list(range(45))
    assert all(image["imgid"] != image["cocoid"] for image in images)
    sentids = [sentence["sentid"] for image in images for sentence in image["sentences"]]
    assert len(set(sentids)) == len(sentids) == 5 * 45
    for image in images:
        assert (root / image["filepath"] / image["filename"]).exists()
        assert image["sentids"] == [sentence["sentid"] for sentence in image["sentences"]]
        for sentence in image["sentences"]:
            words = sentence["raw"].lower()
            assert sentence["imgid"] == image["imgid"] and sentence["tokens"] == [w.strip(",.:") for w in words.split()]


def test_official_captions_agree_with_karpathys(root: Path) -> None:
    images = json.loads((root / "dataset_coco.json").read_text())["images"]
    for split in SIZES:
        content = json.loads((root / f"captions_{split}.json").read_text())
        records = content["annotations"]
        assert len({record["id"] for record in records}) == len(records)
        assert records[0]["image_id"] != records[1]["image_id"]  # not grouped by image
        found = {(record["image_id"], record["caption"]) for record in records}
        mine = [image for image in images if image["filepath"] == f"images/{split}"]
        assert found == {(image["cocoid"], sentence["raw"]) for image in mine for sentence in image["sentences"]}
        assert {(i["id"], i["file_name"]) for i in content["images"]} == {(i["cocoid"], i["filename"]) for i in mine}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_gqa_reader(root: Path, scenes: dict[str, Scene], split: str) -> None:
    balanced = list(gqa.read_split(root, split, SPLITS["gqa"][split]))
    every = list(gqa.read_split(root, f"{split}_all", SPLITS["gqa"][f"{split}_all"]))
    assert len(balanced) == 5 * SIZES[split] < len(every)
    for example in every:
        assert answer_is_true(example.text, example.answer, scenes[_path(root, example.images[0])])
    official = gqa.official_records(root, f"{split}_all", SPLITS["gqa"][f"{split}_all"])
    records = official.records()
    choices = official.choices(records.keys())
    assert choices is not None and choices.keys() == records.keys()
    assert {key for key, record in records.items() if record["isBalanced"]} == {example.id for example in balanced}
    assert all(set(record.get("entailed", ())) <= records.keys() for record in records.values())


def test_correct_answers_score_100_percent_in_gqa(root: Path) -> None:
    every = gqa.read_split(root, "test_all", SPLITS["gqa"]["test_all"])
    official = gqa.official_records(root, "test_all", SPLITS["gqa"]["test_all"])
    answers = {str(example.id): example.answer for example in every}
    scores = evaluate(official.records(), answers, official.choices(answers.keys()))
    assert {scores[name] for name in ("accuracy", "binary", "open", "consistency", "validity", "plausibility")} == {100}


def test_gqa_ids_keep_leading_zeros(root: Path) -> None:
    records = json.loads((root / "gqa" / "train_all_questions.json").read_text())
    assert "00000100" in records and records["00000100"]["imageId"] == "1"
    official = {"semantic", "entailed", "equivalent", "question", "imageId", "isBalanced", "groups", "answer"}
    official |= {"semanticStr", "annotations", "types", "fullAnswer"}
    assert all(record.keys() == official for record in records.values())


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_nlvr2_reader(root: Path, scenes: dict[str, Scene], split: str) -> None:
    examples = list(nlvr2.read_split(root, split, SPLITS["nlvr2"][split]))
    assert len(examples) == {"train": 16, "val": 16, "test": 32}[split]
    assert Counter(example.answer for example in examples) == {"true": len(examples) / 2, "false": len(examples) / 2}
    for example in examples:
        left, right = (scenes[_path(root, image)] for image in example.images)
        assert statement_is_true(example.text, left, right) == (example.answer == "true")
    lines = [json.loads(line) for line in (root / "nlvr2" / f"{split}.json").read_text().splitlines()]
    official = {"sentence", "left_url", "right_url", "label", "identifier", "writer", "validation"}
    assert all(line.keys() == official | {"extra_validations", "synset", "query"} for line in lines)


def _path(root: Path, image: Path) -> str:
    return image.relative_to(root).as_posix()


def test_a_second_call_does_nothing_and_another_world_is_kept(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    make_world(root, seed=7, **SIZES)
    prepare(root)  # a world of any size and seed will do
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    with pytest.raises(DataError, match=r"prepared\.json: the folder was made with seed 7 instead of 8; choose"):
        make_world(root, seed=8, **SIZES)


def test_prepare_makes_the_default_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def small(folder: Path, seed: int, images: dict[str, int]) -> None:
        made.append((seed, images))
        folder.mkdir()

    monkeypatch.setattr(files, "write_world", small)
    prepare(tmp_path / "shapes")
    prepare(tmp_path / "shapes")
    assert made == [(0, {"train": 8000, "val": 500, "test": 1000})]


def test_missing_parts_and_older_versions_are_reported(root: Path, tmp_path: Path) -> None:
    assert problems(root) == [] and problems(tmp_path / "nothing") == []
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    (copy / "gqa" / "val_choices.json").unlink()
    shutil.rmtree(copy / "nlvr2" / "images" / "test")
    (problem,) = problems(copy)
    assert "lacks gqa/val_choices.json, nlvr2/images/test; remove the folder" in str(problem)
    for recipe in ("shapes", "easy_vqa"):
        (copy / "prepared.json").write_text(json.dumps({"recipe": recipe, "version": 0}))
        message = "version 0 instead of 2; choose another root, or remove"
        with pytest.raises(DataError, match=message):
            prepare(copy)
        assert message in str(problems(copy)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed: -1 is below 0"),
        ({"train": -5}, "train: -5 images are not between 1 and 100,000"),
        ({"val": 0}, "val: 0 images"),
        ({"test": 100_001}, "test: 100001 images"),
    ],
)
def test_numbers_out_of_range(tmp_path: Path, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_world(tmp_path / "shapes", **arguments)
    assert not (tmp_path / "shapes").exists()


def test_reading_the_splits_imports_nothing_heavy() -> None:
    code = "import sys, vlrouting.shapes; print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"
