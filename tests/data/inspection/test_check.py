"""`vlrouting data check`: a world without mistakes, and copies of it with one mistake each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.command_line import REPOSITORY, vlrouting
from tests.data.datasets.official_files import edit_json
from tests.data.fetch.made_archives import write_manifest
from tests.tiny_experiment import write_experiment
from vlrouting.config import DataConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError
from vlrouting.data.inspection import check, console, images, official

CAPTIONS = "dataset_coco.json"


@pytest.fixture
def world(shapes_world: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage, and that no recipe claims."""
    root = tmp_path / "world"
    shutil.copytree(shapes_world, root)
    (root / "prepared.json").unlink()
    return root


def checked(name: str, root: Path, *options: str | Path, status: int) -> dict[str, Any]:
    """What `--json` says of a dataset."""
    done = vlrouting("data", "check", name, "--root", root, "--json", *options)
    assert done.returncode == status, done.stderr + done.stdout
    (found,) = json.loads(done.stdout)["checked"]
    assert isinstance(found, dict)
    return found


def problems(found: dict[str, Any]) -> list[dict[str, str]]:
    return [finding for finding in found["findings"] if finding["level"] != "ok"]


def only(found: dict[str, Any], level: str, about: str, *words: str) -> None:
    """There is one problem, and it has these words."""
    (problem,) = problems(found)
    assert (problem["level"], problem["about"]) == (level, about), problem
    for word in words:
        assert word in problem["found"] or word in problem["remedy"], (word, problem)


@pytest.mark.parametrize(
    ("name", "counted", "training"),
    [("coco", "captions", "train"), ("vqav2", "questions", "train"), ("nlvr2", "statements", "train")],
)
def test_a_world_without_mistakes(shapes_world: Path, name: str, counted: str, training: str) -> None:
    found = checked(name, shapes_world, status=0)
    assert problems(found) == [] and found["complete"] and found["files_without_record"] == 0
    splits = read_splits(DataConfig(name=name, root=str(shapes_world), prepare="shapes"), ["train", "val", "test"])
    assert found["splits"].keys() == splits.keys()
    for split, examples in splits.items():
        of_split = found["splits"][split]
        paths = {path for example in examples for path in example.images}
        texts = sum(len(example.answers) for example in examples) if counted == "captions" else len(examples)
        assert of_split["counts"]["images"] == len(paths) == of_split["images_opened"]
        assert of_split["counts"][counted] == texts == sum(of_split["words"].values())
        assert (of_split["images_broken"], of_split["images_missing"]) == (0, 0)
        assert (of_split["unseen_answers"] is None) == (split == training or counted == "captions")


def test_the_name_of_no_dataset(tmp_path: Path) -> None:
    done = vlrouting("data", "check", "cocoo", cwd=tmp_path)
    assert done.returncode == 2 and "Did you mean 'coco'?" in done.stderr


def test_a_part_of_a_split_shares_its_images_without_a_warning(shapes_world: Path) -> None:
    found = checked("gqa", shapes_world, status=0)
    assert {"train", "train_all", "val", "val_all", "test", "test_all"} == found["splits"].keys()
    assert problems(found) == []


def test_images_that_are_missing_truncated_and_too_many(world: Path) -> None:
    train = sorted((world / "images" / "train").iterdir())
    train[3].unlink()
    train[5].write_bytes(train[5].read_bytes()[:200])
    (world / "images" / "train" / "own.png").touch()
    for other in (".hidden", "table.csv"):
        (world / "images" / "train" / other).touch()
    shutil.rmtree(world / "images" / "val")
    found = checked("coco", world, status=2)
    counts = found["splits"]["train"]
    assert (counts["images_missing"], counts["images_broken"], counts["images_opened"]) == (1, 1, 23)
    assert found["files_without_record"] == 1
    assert found["splits"]["val"]["images_missing"] == 8
    folder, absent, broken = problems(found)
    assert str(train[3]) in absent["found"] and "is missing" in absent["found"]
    assert f"{world / 'images' / 'val'} is missing" in folder["found"] and "data.splits.val.images" in folder["found"]
    assert str(train[5]) in broken["found"] and "truncated" in broken["found"]
    assert {problem["level"] for problem in problems(found)} == {"fault"}


def test_one_of_several_image_folders_is_missing(tmp_path: Path) -> None:
    pair = {"sentence": "Both are red.", "label": "True"}
    lines = [{**pair, "identifier": f"train-{n}-{n}-0", "directory": n} for n in (7, 8)]
    (tmp_path / "train.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder = tmp_path / "images" / "train" / "7"
    folder.mkdir(parents=True)
    for side in (0, 1):
        Image.new("RGB", (8, 8)).save(folder / f"train-7-7-img{side}.png")
    found = checked("nlvr2", tmp_path, status=2)
    only(found, "fault", "train: images", str(folder.parent / "8"), "2 images", "unpack")
    assert found["splits"]["train"]["images_missing"] == found["splits"]["train"]["images_opened"] == 2


def test_images_are_opened_all_as_a_sample_or_not_at_all(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "SAMPLE", 5)
    broken = sorted((world / "images" / "train").iterdir())
    for path in broken:
        path.write_bytes(b"")
    assert checked("coco", world, "--images", "none", status=0)["splits"]["train"]["images_opened"] == 0
    first, second = (checked("coco", world, "--images", "sample", status=2) for _ in range(2))
    assert first == second and first["splits"]["train"]["images_opened"] == first["faults"] == 5
    assert checked("coco", world, status=2)["splits"]["train"]["images_broken"] == len(broken) == 24


def test_a_pool_of_processes_finds_the_same(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    next((world / "images" / "test").iterdir()).write_bytes(b"no image")
    alone = checked("coco", world, status=2)
    monkeypatch.setattr(images, "_WORTH_A_POOL", 4)
    monkeypatch.setattr(images, "_CHUNK", 3)
    monkeypatch.setattr(images.os, "cpu_count", lambda: 2)
    assert checked("coco", world, status=2) == alone


def test_counts_that_are_not_those_of_a_manifest(world: Path, tmp_path: Path) -> None:
    counts = {"train": {"images": 100, "captions": 120}, "val": {"images": 7}, "test": {"images": 8}}
    manifest = write_manifest(tmp_path / "manifest.yaml", splits=counts)
    found = checked("coco", world, "--manifest", manifest, status=2)
    fewer, more = problems(found)
    assert (fewer["about"], more["about"]) == ("train: counts", "val: counts")
    assert "24 images" in fewer["found"] and "100" in fewer["found"] and "missing" in fewer["found"]
    assert "8 images" in more["found"] and "7" in more["found"] and "added" in more["found"]
    for remedy in (f"remove {world / CAPTIONS}", "vlrouting data fetch coco --root", "--only annotations"):
        assert remedy in fewer["remedy"]
    assert found["splits"]["test"]["official"] == {"images": 8}
    assert vlrouting("data", "check", "coco", "--root", world, "--manifest", tmp_path / "none.yaml").returncode == 2


def test_official_names_over_other_data_are_not_compared(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked("coco", world, status=0)
    notes = [finding for finding in found["findings"] if "taken for data of your own" in finding["found"]]
    assert len(notes) == 3 and "113,287" in notes[0]["found"]
    monkeypatch.setattr(official, "OF_THE_ORIGINAL", 0.0001)
    assert len(problems(checked("coco", world, status=2))) == 3


def test_files_that_an_experiment_names_are_not_compared(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    name = "v2_OpenEnded_mscoco_val2014_questions.json"
    shutil.copy(tmp_path / "data" / name, tmp_path / "data" / "mine.json")
    annotations = "data.splits.val2014.annotations=v2_mscoco_val2014_annotations.json"
    for file, compared in ((name, True), ("mine.json", False)):
        named = [f"data.splits.val2014.questions={file}", annotations]
        done = vlrouting("data", "check", "tiny.yaml", *named, "--json", cwd=tmp_path)
        (found,) = json.loads(done.stdout)["checked"]
        assert bool(found["splits"]["val2014"]["official"]) == compared and found["splits"]["train2014"]["official"]


def test_an_image_in_two_splits(world: Path) -> None:
    def swap(content: Any) -> None:
        train, test = (next(r for r in content["images"] if r["split"] == split) for split in ("train", "test"))
        test["filepath"], test["filename"] = train["filepath"], train["filename"]

    edit_json(world / CAPTIONS, swap)
    only(checked("coco", world, status=0), "warning", "train and test", "1 image in both: images/train/1.png")


def test_a_record_that_the_reader_refuses(world: Path) -> None:
    def remove_captions(content: Any) -> None:
        next(record for record in content["images"] if record["split"] == "val")["sentences"] = []

    edit_json(world / CAPTIONS, remove_captions)
    with pytest.raises(DataError) as error:
        read_splits(DataConfig(name="coco", root=str(world)), ["val"])
    found = checked("coco", world, status=2)
    only(found, "fault", "val: records", str(error.value))
    assert found["splits"].keys() == {"train", "test"}


def test_a_file_of_all_splits_that_is_invalid_is_one_problem(world: Path) -> None:
    content = (world / CAPTIONS).read_text()
    (world / CAPTIONS).write_text(content.replace('"cocoid"', '"id"'))
    only(checked("coco", world, status=2), "fault", "train, val, test: records", "has no key 'cocoid'")


def test_a_question_that_is_asked_twice(shapes_world: Path, world: Path) -> None:
    def repeat(content: Any) -> None:
        first, second, third = asked[:] = content["questions"][:3]
        assert first["image_id"] == second["image_id"] == third["image_id"]
        second["question"], third["question"] = f" {first['question'].upper()}", first["question"]

    asked: list[dict[str, Any]] = []
    shutil.copy(shapes_world / "prepared.json", world)
    edit_json(world / "questions_val.json", repeat)
    found = checked("vqav2", world, status=0)
    first, second, third = (question["question_id"] for question in asked)
    ids = f"{second} asks what {first} asks, {third} asks what {first} asks"
    only(found, "warning", "val: questions", "2 questions", ids)
    assert found["splits"]["val"]["repeated_questions"] == 2


def test_many_problems_are_cut_on_the_screen_and_whole_in_the_file(world: Path, tmp_path: Path) -> None:
    for path in (world / "images" / "train").iterdir():
        path.unlink()
    written = tmp_path / "found.json"
    done = vlrouting("data", "check", "coco", "--root", world, "--write", written)
    assert done.returncode == 2
    shown = [line for line in done.stdout.splitlines() if "is missing" in line]
    assert len(shown) == console.MOST_LINES and "and 14 more; --write" in done.stdout
    (found,) = json.loads(written.read_text())["checked"]
    assert len(problems(found)) == 24
    assert done.stdout.splitlines()[-1].endswith("3 splits, 40 images: 24 faults, 0 warnings")


def test_an_interruption_shows_what_was_found_so_far(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(paths: list[str]) -> Iterator[tuple[str, str | None]]:
        yield paths[0], "is broken"
        yield paths[1], None
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "open_images", interrupted)
    found = checked("coco", world, status=130)
    assert not found["complete"] and found["faults"] == 1
    assert sum(split["images_opened"] for split in found["splits"].values()) == 2
    assert "(interrupted)" in vlrouting("data", "check", "coco", "--root", world).stdout


def test_nothing_is_there(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "none"):
        done = vlrouting("data", "check", "gqa", "--root", root)
        assert done.returncode == 2 and not done.stdout
        for word in (str(root), "train_balanced", f"vlrouting data fetch gqa --root {root}"):
            assert word in done.stderr


def test_an_experiment_checks_the_splits_that_it_uses(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    done = vlrouting("data", "check", "tiny.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    (found,) = json.loads(done.stdout)["checked"]
    assert found["splits"].keys() == {"train2014", "val2014"} and found["vocabulary"] == 6
    assert [split["role"] for split in found["splits"].values()] == ["train", "validation"]
    assert found["splits"]["val2014"]["counts"]["questions"] == 48


def test_a_vocabulary_that_answers_too_little(tmp_path: Path) -> None:
    write_experiment(tmp_path)

    def answers(*overrides: str, status: int) -> dict[str, Any]:
        done = vlrouting("data", "check", "tiny.yaml", *overrides, "--json", cwd=tmp_path)
        assert done.returncode == status
        (found,) = json.loads(done.stdout)["checked"]
        return found  # type: ignore[no-any-return]

    only(answers("data.min_answer_count=1000", status=2), "fault", "answers", "lower data.min_answer_count")
    given: dict[str, Counter[str]] = {}
    for split in ("train2014", "val2014"):
        content = json.loads((tmp_path / "data" / f"v2_mscoco_{split}_annotations.json").read_text())
        given[split] = Counter(record["multiple_choice_answer"] for record in content["annotations"])
    kept = {answer for answer, count in given["train2014"].items() if count >= 10}
    found = answers("data.min_answer_count=10", status=0)
    assert found["vocabulary"] == len(kept) == 1
    for split, counts in given.items():
        share = sum(counts[answer] for answer in kept) / 48
        assert found["splits"][split]["in_vocabulary"] == pytest.approx(share) and share < 0.8
    assert [problem["level"] for problem in problems(found)] == ["warning", "warning"]
    assert "of the questions of 'val2014'" in problems(found)[1]["found"]


def test_answers_that_training_never_has(tmp_path: Path) -> None:
    write_experiment(tmp_path)

    def rename(content: Any) -> None:
        for record in content["annotations"][:3]:
            record["multiple_choice_answer"] = "a zebra"

    edit_json(tmp_path / "data" / "v2_mscoco_val2014_annotations.json", rename)
    done = vlrouting("data", "check", "tiny.yaml", "--json", cwd=tmp_path)
    of_val = json.loads(done.stdout)["checked"][0]["splits"]["val2014"]
    assert (of_val["unseen_answers"], of_val["unseen_answers_share"]) == (1, 3 / 48)


def test_no_torch_is_imported(shapes_world: Path) -> None:
    code = f"""
import sys
from vlrouting.cli import app
try:
    app(["data", "check", "vqav2", "--root", {str(shapes_world)!r}])
except SystemExit as stop:
    assert not stop.code, stop.code
assert not {{"torch", "lightning", "transformers", "matplotlib"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
