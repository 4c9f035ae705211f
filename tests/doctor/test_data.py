"""Faults of the data, planted one at a time."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.doctor.checking import findings_of, only_problem, problems
from vlrouting.doctor import data
from vlrouting.doctor.data import json_problem

ANNOTATIONS = "v2_mscoco_train2014_annotations.json"
QUESTIONS = "v2_OpenEnded_mscoco_train2014_questions.json"


def test_a_file_is_missing(tiny: Path) -> None:
    (tiny / "data" / ANNOTATIONS).unlink()
    only_problem(findings_of(tiny), "fault", "data", ANNOTATIONS, "is missing", "data fetch vqav2")


def test_an_image_folder_is_missing(tiny: Path) -> None:
    shutil.rmtree(tiny / "data" / "val2014")
    only_problem(findings_of(tiny), "fault", "data", "val2014", "data fetch vqav2")
    assert problems(findings_of(tiny, "model.visual_input=none", "bottleneck.routing=none")) == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "is empty"),
        ("<html>404 Not Found</html>", "begins with '<html>"),
        ('{"questions": [{"question_id": 1, "im', "breaks off at character"),
    ],
)
def test_a_file_is_no_json(tiny: Path, content: str, word: str) -> None:
    (tiny / "data" / QUESTIONS).write_text(content)
    only_problem(findings_of(tiny), "fault", "data", QUESTIONS, word, "fetch it again")


def test_a_large_file_is_cut_short_or_damaged_at_its_head(tmp_path: Path) -> None:
    whole = json.dumps({"annotations": [{"question_id": number, "answer": "yes"} for number in range(10_000)]})
    for file, content, word in (
        ("whole.json", whole, None),
        ("lines.json", "\n".join(json.dumps({"sentence": str(n)}) for n in range(10_000)), None),
        ("cut.json", whole[:-30], "in the middle of a record"),
        ("damaged.json", whole.replace('"yes"', "yes", 1), "breaks off at character"),
    ):
        (tmp_path / file).write_text(content)
        problem = json_problem(tmp_path / file)
        assert problem is None if word is None else word in str(problem), (file, problem)


def test_a_record_is_broken(tiny: Path) -> None:
    file = tiny / "data" / QUESTIONS
    content = json.loads(file.read_text())
    del content["questions"][3]["question"]
    file.write_text(json.dumps(content))
    only_problem(
        findings_of(tiny), "fault", "data", QUESTIONS, "has no key 'question'", "compare with the official file format"
    )


def test_files_that_are_too_large_are_not_read_through(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MOST_BYTES", 1000)
    findings = findings_of(tiny)
    assert problems(findings) == []
    assert any("are not read through here" in finding.found for finding in findings)


def test_an_image_is_broken(tiny: Path) -> None:
    image = sorted((tiny / "data" / "train2014").iterdir())[0]
    image.write_bytes(image.read_bytes()[:200])
    only_problem(findings_of(tiny), "fault", "images", image.name, "restore this file")


def test_the_answers_are_no_vocabulary(tiny: Path) -> None:
    (tiny / "data" / "answers.json").write_text('["yes", "no", "yes"]')
    only_problem(
        findings_of(tiny, "data.answers=answers.json"), "fault", "answers", "occur twice", "remove the repetitions"
    )
    only_problem(findings_of(tiny, "data.min_answer_count=1000"), "fault", "answers", "lower data.min_answer_count")


def test_a_recipe_without_its_package_and_in_an_occupied_place(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ("data.prepare=easy_vqa", "data.train=train", "data.validation=val", "data.test=test")
    root = f"data.root={tiny / 'none'}"
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "easy_vqa" else find(name))
    assert problems(findings_of(tiny, root, *made)) == []
    only_problem(findings_of(tiny, *made), "fault", "data", "did not make", "move them away")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "easy_vqa" else find(name))
    only_problem(findings_of(tiny, root, *made), "fault", "data", "is not installed", "pip install")


def test_a_recipe_that_may_not_write(tiny: Path) -> None:
    made = ("data.prepare=shapes", "data.train=train", "data.validation=val", "data.test=test")
    place = "/proc/vlrouting"
    findings = findings_of(tiny, f"data.root={place}", f"vision.cache_dir={tiny / 'features'}", *made)
    only_problem(findings, "fault", "data", f"nothing can be written to {place}", "set data.root")


def test_gray_images_and_palettes_are_no_fault(tiny: Path) -> None:
    for image, mode in zip(sorted((tiny / "data" / "train2014").iterdir()), ("L", "P"), strict=False):
        Image.new(mode, (8, 8)).save(image.with_suffix(".png"))
        image.with_suffix(".png").replace(image)
    assert problems(findings_of(tiny)) == []
