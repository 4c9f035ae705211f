"""The COCO captions reader: Karpathy's file and the official ones, and the errors for invalid files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.official_files import edit_json, missing_sentences, write_json
from vlrouting.config import DataConfig, SplitConfig
from vlrouting.data.datasets import karpathy
from vlrouting.data.datasets.captions import TrainingPairs, clean_caption
from vlrouting.data.datasets.coco import DEFAULT_SPLITS, image_folders, read_split
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError, Example

KARPATHY = "dataset_coco.json"
OFFICIAL = "annotations/captions_val2014.json"
MOPED = 391895
"""cocoid of Karpathy's first record."""


def karpathy_record(number: int, cocoid: int, split: str, *captions: str) -> dict[str, Any]:
    """A record with the keys of the original file; `number` counts the records, like `imgid`."""
    folder = "train2014" if split == "train" else "val2014"
    return {
        "filepath": folder,
        "sentids": [cocoid * 10 + position for position in range(len(captions))],
        "filename": f"COCO_{folder}_{cocoid:012d}.jpg",
        "imgid": number,
        "split": split,
        "sentences": [
            {"tokens": caption.lower().split(), "raw": caption, "imgid": number, "sentid": cocoid * 10 + position}
            for position, caption in enumerate(captions)
        ],
        "cocoid": cocoid,
    }


def karpathy_content() -> dict[str, Any]:
    """Images of all splits, mixed as in the original file."""
    records = [
        karpathy_record(0, MOPED, "test", "A man with a red helmet. ", "Man riding a\nmotor bike. "),
        karpathy_record(1, 522418, "restval", "A woman cutting a cake.", "A cake."),
        karpathy_record(2, 318219, "train", *(f"A boy at desk {number}." for number in range(7))),
        karpathy_record(3, 184613, "val", "A child holding a flowered umbrella."),
        karpathy_record(4, 554625, "train", "A boy wearing headphones."),
    ]
    return {"images": records, "dataset": "coco"}


def official_content() -> dict[str, Any]:
    """Two images; the captions are not grouped by image."""
    return {
        "info": {},
        "licenses": [],
        "images": [
            {"id": 42, "file_name": "COCO_val2014_000000000042.jpg", "height": 640, "width": 480, "license": 3},
            {"id": 73, "file_name": "COCO_val2014_000000000073.jpg", "height": 565, "width": 640, "license": 3},
        ],
        "annotations": [
            {"image_id": 73, "id": 1, "caption": "A motorcycle. "},
            {"image_id": 42, "id": 2, "caption": "A dog\namong shoes."},
            {"image_id": 73, "id": 3, "caption": "A bike on display"},
        ],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "annotations").mkdir()
    write_json(tmp_path / KARPATHY, karpathy_content())
    write_json(tmp_path / OFFICIAL, official_content())
    for folder in ("train2014", "val2014"):
        (tmp_path / folder).mkdir()
    return tmp_path


def read(root: Path, name: str, split: SplitConfig | None = None) -> list[Example]:
    return list(read_split(root, name, split or DEFAULT_SPLITS[name]))


def test_karpathy_splits(root: Path) -> None:
    assert read(root, "test") == [
        Example(
            id=MOPED,
            images=(root / "val2014" / "COCO_val2014_000000391895.jpg",),
            text="",
            labels={},
            answers=("A man with a red helmet.", "Man riding a motor bike."),
            answer="A man with a red helmet.",
        )
    ]
    train = read(root, "train")
    assert [(example.id, example.images[0].parent.name, len(example.answers)) for example in train] == [
        (522418, "val2014", 2),  # restval
        (318219, "train2014", 7),
        (554625, "train2014", 1),
    ]
    assert [example.id for example in read(root, "val")] == [184613]
    own = SplitConfig(annotations=KARPATHY)
    assert [example.id for example in read(root, "restval", own)] == [522418]


def test_official_captions(root: Path) -> None:
    first, second = read(root, "val2014")
    assert first == Example(
        id=42,
        images=(root / "val2014" / "COCO_val2014_000000000042.jpg",),
        text="",
        labels={},
        answers=("A dog among shoes.",),
        answer="A dog among shoes.",
    )
    assert (second.id, second.answers) == (73, ("A motorcycle.", "A bike on display"))


def test_image_folders(root: Path) -> None:
    def path(name: str, file: str, images: str | None = None) -> str:
        split = SplitConfig(annotations=file) if images is None else SplitConfig(annotations=file, images=images)
        return read(root, name, split)[0].images[0].relative_to(root).as_posix()

    assert path("mine", OFFICIAL) == "val2014/COCO_val2014_000000000042.jpg"
    assert path("mine", OFFICIAL, "all/{image_id:06d}.png") == "all/000042.png"
    assert path("test", KARPATHY, "{subtype}/small/{file_name}") == "val2014/small/COCO_val2014_000000391895.jpg"
    edit_json(root / KARPATHY, lambda content: content["images"][0].update(filepath="", filename="scene.png"))
    assert path("test", KARPATHY) == "scene.png"
    edit_json(root / OFFICIAL, lambda content: content["images"][0].update(file_name="000000000042.jpg"))
    assert path("mine", OFFICIAL, "val2017/{file_name}") == "val2017/000000000042.jpg"
    with pytest.raises(
        DataError, match=r"id 42: file_name '000000000042\.jpg' .* set data\.splits\.mine\.images to a "
    ):
        path("mine", OFFICIAL)
    for template in ("{number}.jpg", "{subtype}/picture.jpg", "{image_id"):
        with pytest.raises(DataError, match=r"data\.splits\.mine\.images: '.*(placeholders|same image)"):
            path("mine", OFFICIAL, template)


def test_captions_are_cleaned_of_line_breaks_only() -> None:
    assert clean_caption(" A  dog.\r\n On grass.\u2028\n\n") == "A  dog. On grass."
    assert clean_caption(" \n") == ""


def test_training_pairs(root: Path) -> None:
    (example,) = read(root, "test")
    first, second = TrainingPairs([example])
    assert (first.id, first.answer, first.answers) == ("391895#0", "A man with a red helmet.", ())
    assert (second.id, second.answer, second.images) == ("391895#1", "Man riding a motor bike.", example.images)
    pairs = TrainingPairs(read(root, "train"))
    assert len(pairs) == 10 and len({pair.id for pair in pairs}) == 10


def test_through_the_configuration(root: Path) -> None:
    data = DataConfig(name="coco", root=str(root), train="train", validation="val", test="test")
    assert missing_sentences(data) == []
    assert {name: len(examples) for name, examples in read_splits(data).items()} == {"train": 3, "val": 1, "test": 1}


def test_a_missing_file_is_reported_with_its_command(tmp_path: Path) -> None:
    data = DataConfig(name="coco", root=str(tmp_path), train="train", test="test")
    captions, *images = missing_sentences(data)
    assert captions.startswith(f"{tmp_path / KARPATHY} is missing") and "data fetch coco" in captions
    assert [Path(sentence.partition(" is missing")[0]).name for sentence in images] == ["train2014", "val2014"]
    official = DataConfig(name="coco", root=str(tmp_path), train="train2017", test="val2014")
    names = ("captions_train2017.json", "train2017", "captions_val2014.json", "val2014")
    found = [Path(sentence.partition(" is missing")[0]).name for sentence in missing_sentences(official)]
    assert sorted(found) == sorted(names)
    with pytest.raises(DataError, match="--split val2014 --only annotations"):
        read(tmp_path, "val2014")


def test_image_folders_are_read_from_the_file(root: Path) -> None:
    own = SplitConfig(annotations="own.json")
    write_json(root / "own.json", official_content())
    assert list(image_folders(root, "mine", own)) == ["val2014"]
    records = [
        {
            "cocoid": number,
            "split": split,
            "filepath": f"images/{split}",
            "filename": "a.png",
            "sentences": [{"raw": "a"}],
        }
        for number, split in enumerate(("train", "restval", "test"))
    ]
    write_json(root / "own.json", {"images": records, "dataset": "own"})
    assert list(image_folders(root, "train", own)) == ["images/restval", "images/train"]
    assert list(image_folders(root, "test", own)) == ["images/test"]
    assert list(image_folders(root, "test", SplitConfig(annotations=KARPATHY))) == ["val2014"]


def test_files_of_a_split(tmp_path: Path) -> None:
    for split, key in (
        (SplitConfig(), "annotations: is empty"),
        (SplitConfig("q.json", "a.json"), "questions: has no"),
    ):
        with pytest.raises(DataError, match=rf"^data\.splits\.mine\.{key}"):
            read(tmp_path, "mine", split)
        data = DataConfig(name="coco", root=str(tmp_path), train="mine", test="mine", splits={"mine": split})
        name, said = key.split(": ")
        assert any(f"{said} " in text and f"mine.{name})" in text for text in missing_sentences(data))


def test_the_original_file_must_have_the_original_sizes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read(root, "train")) == 3  # a part of COCO may have any size
    assert karpathy.REAL_SIZE == 100_000
    monkeypatch.setattr(karpathy, "REAL_SIZE", 4)
    found = (
        rf"{KARPATHY}: the split '{{}}' of COCO has {{}} images, but {{}} were found among the 5 of the file; fetch it"
    )
    for numbers in (("train", "113,287", 3), ("val", "5,000", 1), ("test", "5,000", 1)):
        with pytest.raises(DataError, match=found.format(*numbers)):
            read(root, numbers[0])
    edit_json(root / KARPATHY, lambda content: content.update(dataset="mine"))
    assert len(read(root, "train")) == 3


def test_the_original_file_with_the_original_sizes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(karpathy, "REAL_SIZE", 4)
    monkeypatch.setattr(karpathy, "SPLIT_SIZES", {"train": 3, "val": 1, "test": 1})
    assert [len(read(root, name)) for name in ("train", "val", "test")] == [3, 1, 1]
    edit_json(root / KARPATHY, lambda content: content["images"].append(karpathy_record(5, 1, "restval", "A dog.")))
    with pytest.raises(DataError, match="'train' of COCO has 3 images, but 4 were found"):
        read(root, "train")


@pytest.mark.parametrize(("name", "file"), [("test", KARPATHY), ("val2014", OFFICIAL)])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_json(root: Path, name: str, file: str, share: float) -> None:
    text = (root / file).read_text()
    (root / file).write_text(text[: int(share * len(text))])
    with pytest.raises(DataError, match=rf"{file}: the JSON breaks off .*; the file was cut short .*fetch it again"):
        read(root, name)


def test_the_record_before_the_error_is_named(root: Path) -> None:
    text = (root / KARPATHY).read_text()
    (root / KARPATHY).write_text(text[: text.index('"cocoid": 318219') + 30])
    with pytest.raises(DataError, match="in or after the record with cocoid 318219"):
        read(root, "test")


def test_unknown_split(root: Path) -> None:
    split = SplitConfig(annotations=KARPATHY)
    with pytest.raises(DataError, match=r"a split 'tets', only of restval, test, train, val; .* Did you mean 'test'"):
        read(root, "tets", split)
    data = DataConfig(name="coco", root=str(root), train="trian", test="test")
    (sentence,) = missing_sentences(data)
    assert "'trian' is not one of train, val, test, train2014" in sentence and "Did you mean 'train'?" in sentence


Change = Callable[[Any], object]

BROKEN: dict[str, tuple[Change, str]] = {
    "no caption": (lambda images: images[0].update(sentences=[]), f"cocoid {MOPED}: has no caption; fetch"),
    "empty caption": (
        lambda images: images[0]["sentences"][1].update(raw=" \n"),
        f"cocoid {MOPED}: caption 2 of 2 is empty; add its text or remove",
    ),
    "caption without text": (
        lambda images: images[0]["sentences"][1].pop("raw"),
        f"cocoid {MOPED}: caption 2 has no text under 'raw'.*repair",
    ),
    "twice": (lambda images: images.append(images[0]), f"cocoid {MOPED} occurs twice; remove"),
    "twice in two splits": (
        lambda images: images.append({**images[0], "split": "val"}),
        f"cocoid {MOPED} occurs twice; remove",
    ),
    "no cocoid": (lambda images: images[0].pop("cocoid"), "record 1: has no key 'cocoid'.*compare"),
    "text as cocoid": (lambda images: images[0].update(cocoid="1"), "record 1: 'cocoid' must be a non-empty int"),
    "no split": (lambda images: images[0].pop("split"), f"cocoid {MOPED}: has no key 'split'.*compare"),
    "no filepath": (lambda images: images[0].pop("filepath"), f"cocoid {MOPED}: has no key 'filepath'.*compare"),
    "no filename": (lambda images: images[0].pop("filename"), f"cocoid {MOPED}: has no key 'filename'.*compare"),
    "no sentences": (lambda images: images[0].pop("sentences"), f"cocoid {MOPED}: has no key 'sentences'.*compare"),
    "no record": (lambda images: images.insert(0, "hello"), "record 1 is no JSON object.*repair"),
    "no images": (lambda images: images.clear(), "has no list 'images'; name Karpathy's"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_invalid_karpathy_file(root: Path, case: str) -> None:
    change, expected = BROKEN[case]
    edit_json(root / KARPATHY, lambda content: change(content["images"]))
    with pytest.raises(DataError, match=rf"{KARPATHY}: {expected}"):
        read(root, "test")


BROKEN_OFFICIAL: dict[str, tuple[Change, str]] = {
    "image without captions": (
        lambda content: content["annotations"].pop(1),
        "images without a caption: 42\nFetch the file again",
    ),
    "caption of an unknown image": (
        lambda content: content["annotations"][1].update(image_id=7),
        "captions of images that the file does not list: image_id 7\n.*images without a caption: 42\nFetch",
    ),
    "empty caption": (
        lambda content: content["annotations"][1].update(caption="\n"),
        "id 2: 'caption' must be a non-empty str.*repair",
    ),
    "no caption": (lambda content: content["annotations"][1].pop("caption"), "id 2: has no key 'caption'.*compare"),
    "no image_id": (lambda content: content["annotations"][1].pop("image_id"), "id 2: has no key 'image_id'.*compare"),
    "no file_name": (lambda content: content["images"][0].pop("file_name"), "id 42: has no key 'file_name'.*compare"),
    "no id": (lambda content: content["images"][0].pop("id"), "record 1: has no key 'id'.*compare"),
    "twice": (
        lambda content: content["images"].append(content["images"][0]),
        "image id 42 occurs twice; remove",
    ),
    "no images": (lambda content: content.pop("images"), "has no list 'images'; name Karpathy's"),
}


@pytest.mark.parametrize("case", BROKEN_OFFICIAL)
def test_invalid_official_file(root: Path, case: str) -> None:
    change, expected = BROKEN_OFFICIAL[case]
    edit_json(root / OFFICIAL, change)
    with pytest.raises(DataError, match=rf"(?s){OFFICIAL}: {expected}"):
        read(root, "val2014")


def test_another_file(root: Path) -> None:
    write_json(root / KARPATHY, ["a list"])
    with pytest.raises(DataError, match=rf"{KARPATHY}: has no list 'images'; name Karpathy's .* or an official"):
        read(root, "test")
