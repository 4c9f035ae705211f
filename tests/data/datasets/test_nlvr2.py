"""The NLVR2 reader: pairs of images, and the errors for invalid files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.data.datasets.official_files import missing_sentences
from vlrouting.config import DataConfig, SplitConfig
from vlrouting.data.datasets.nlvr2 import DEFAULT_SPLITS, read_split
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError, Example
from vlrouting.data.images import load_image


def record(identifier: str, label: str | None, **more: Any) -> dict[str, Any]:
    """A record with the keys of the official files."""
    content = {
        "sentence": "There is an empty glass.",
        "left_url": "http://example.org/left.jpg",
        "right_url": "http://example.org/right.jpg",
        "label": label,
        "identifier": identifier,
        "writer": "61",
        "validation": {"61": label},
        "extra_validations": {},
        "synset": "beer bottle",
        "query": "empty beer bottles0",
        **more,
    }
    return content if label is not None else {key: value for key, value in content.items() if key != "label"}


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_lines(tmp_path / "dev.json", [record("dev-850-0-0", "False"), record("dev-850-1-0", "True")])
    write_lines(tmp_path / "train.json", [record("train-10171-0-0", "True", directory=67)])
    for folder in ("dev", "images/train/67"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def read(root: Path, name: str = "dev", split: SplitConfig | None = None) -> list[Example]:
    return list(read_split(root, name, split or DEFAULT_SPLITS[name]))


def test_official_file(root: Path) -> None:
    first, second = read(root)
    assert first == Example(
        id="dev-850-0-0",
        images=(root / "dev" / "dev-850-0-img0.png", root / "dev" / "dev-850-0-img1.png"),
        text="There is an empty glass.",
        labels={"false": 1.0},
        answers=("false",),
        answer="false",
    )
    assert (second.answer, second.labels) == ("true", {"true": 1.0})


def test_training_images_are_in_numbered_folders(root: Path) -> None:
    (example,) = read(root, "train")
    assert example.images == tuple(root / f"images/train/67/train-10171-0-img{side}.png" for side in (0, 1))


def test_template_of_the_images(root: Path) -> None:
    (example, _) = read(root, "mine", SplitConfig("dev.json", images="{side}/{pair}.jpg"))
    assert example.images == (root / "0/dev-850-0.jpg", root / "1/dev-850-0.jpg")
    (example, _) = read(root, "mine", SplitConfig("dev.json"))
    assert example.images[0] == root / "dev" / "dev-850-0-img0.png"
    for template in ("{number}.jpg", "{pair}.png", "{side}.png", "dev/image.png"):
        with pytest.raises(DataError, match=r"data\.splits\.mine\.images: '.*(placeholders|same image)"):
            read(root, "mine", SplitConfig("dev.json", images=template))


def test_a_hidden_test_set_has_no_labels(root: Path) -> None:
    write_lines(root / "test2.json", [record("test2-0-0-0", None)])
    (example,) = read(root, "test2")
    assert (example.labels, example.answers, example.answer) == ({}, (), "")


def test_image_formats_are_detected_from_the_content(root: Path) -> None:
    (example, _) = read(root)
    Image.new("L", (20, 16), 130).save(example.images[0], format="JPEG")
    Image.new("RGB", (20, 16), (200, 0, 0)).save(example.images[1], format="GIF")
    left, right = map(load_image, example.images)
    assert left.mode == right.mode == "RGB" and left.getpixel((5, 5)) == (130, 130, 130)
    example.images[1].write_bytes(example.images[1].read_bytes()[:20])
    with pytest.raises(DataError, match=r"dev-850-0-img1\.png: no image, or a truncated"):
        load_image(example.images[1])


def test_blank_lines_and_unicode_line_separators(root: Path) -> None:
    """A sentence may contain a character that Python's splitlines treats as a line end."""
    odd = json.dumps(record("dev-1-0-0", "True", sentence="A dog\u2028 and a cat."), ensure_ascii=False)
    (root / "dev.json").write_text(f"{odd}\r\n\n{json.dumps(record('dev-1-1-0', 'True'))}\n\n", encoding="utf-8")
    assert [example.text for example in read(root)] == ["A dog\u2028 and a cat.", "There is an empty glass."]


def test_through_the_configuration(root: Path) -> None:
    data = DataConfig(name="nlvr2", root=str(root), train="train", test="dev")
    assert missing_sentences(data) == []
    assert {name: len(examples) for name, examples in read_splits(data).items()} == {"train": 1, "dev": 2}
    (root / "dev").rename(root / "elsewhere")
    own = {"mine": SplitConfig("dev.json")}
    (sentence,) = missing_sentences(DataConfig(name="nlvr2", root=str(root), train="train", test="mine", splits=own))
    assert f"{root / 'dev'} is missing (data.splits.mine.images)" in sentence


def test_a_missing_file_is_reported_with_its_command(tmp_path: Path) -> None:
    sentences = missing_sentences(DataConfig(name="nlvr2", root=str(tmp_path), train="train", test="test1"))
    missing = [sentence.partition(" is missing")[0] for sentence in sentences]
    assert missing == [str(tmp_path / path) for path in ("train.json", "images/train", "test1.json", "test1")]
    assert sentences[0].endswith(f"vlrouting data fetch nlvr2 --root {tmp_path} --only annotations")
    assert "ask for train_img.zip" in sentences[1] and "nlvr2#direct-image-download" in sentences[1]
    with pytest.raises(DataError, match=r"dev\.json is missing .*data fetch"):
        read(tmp_path)


def test_files_of_a_split(tmp_path: Path) -> None:
    for split, key in (
        (SplitConfig(), "questions: is empty"),
        (SplitConfig("q.json", "a.json"), "annotations: has no"),
    ):
        with pytest.raises(DataError, match=rf"^data\.splits\.mine\.{key}"):
            read(tmp_path, "mine", split)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"identifier": "dev-1', r"line 2 is not JSON \(column 16: .*\); the file was cut short"),
        ("[]", r"line 2 is no JSON object but \[\]; repair"),
        (json.dumps([record("dev-1-0-0", "True")]), "line 2 is no JSON object"),
    ],
)
def test_an_invalid_line(root: Path, text: str, message: str) -> None:
    (root / "dev.json").write_text(json.dumps(record("dev-850-0-0", "False")) + "\n" + text)
    with pytest.raises(DataError, match=rf"dev\.json: {message}"):
        read(root)


def test_an_empty_file(root: Path) -> None:
    (root / "dev.json").write_text("\n")
    with pytest.raises(DataError, match=r"dev\.json: the file is empty; the file was cut short"):
        read(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "true"}, "'label' is 'true', not the string \"True\" or \"False\"; repair"),
        ({"label": True}, "'label' is True, not the string"),
        ({"identifier": "dev-850-1"}, "identifier 'dev-850-1' is not of the form split-set-pair-sentence; repair"),
        ({"identifier": "dev-850-0-0"}, "identifier dev-850-0-0 occurs twice; remove"),
        ({"identifier": None}, "has no key 'identifier'.*compare"),
        ({"label": None}, "has no 'label', unlike the lines before it; give every line one"),
        ({"sentence": " "}, "'sentence' must be a non-empty str.*repair"),
        ({"sentence": None}, "has no key 'sentence'.*compare"),
    ],
)
def test_invalid_record(root: Path, changes: dict[str, Any], message: str) -> None:
    broken = record("dev-850-1-0", "True") | changes
    kept = {key: value for key, value in broken.items() if value is not None}
    write_lines(root / "dev.json", [record("dev-850-0-0", "False"), kept])
    with pytest.raises(DataError, match=rf"dev\.json: line 2: {message}"):
        read(root)


def test_training_records_have_a_directory(root: Path) -> None:
    write_lines(root / "train.json", [record("train-10171-0-0", "True")])
    with pytest.raises(DataError, match=r"train\.json: line 1: has no key 'directory'.*compare"):
        read(root, "train")
