"""The VQAv2 reader: official files and per-split lists, and the errors for invalid files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.datasets.official_files import (
    ANSWERS,
    COLORS,
    QUESTIONS,
    answer_records,
    answers_of,
    edit_json,
    image_colors,
    list_records,
    write_json,
    write_world,
)
from vlrouting.config import SplitConfig
from vlrouting.data.datasets.vqa_annotations import soft_scores
from vlrouting.data.datasets.vqav2 import DEFAULT_SPLITS, read_split
from vlrouting.data.example import DataError, Example
from vlrouting.data.images import load_image

QUESTIONS_FILE = "v2_OpenEnded_mscoco_train2014_questions.json"
ANNOTATIONS_FILE = "v2_mscoco_train2014_annotations.json"
SECOND = 100001
"""question_id of the second record."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_world(tmp_path)
    return tmp_path


def read(root: Path, name: str = "train2014", split: SplitConfig | None = None) -> list[Example]:
    return list(read_split(root, name, split or DEFAULT_SPLITS[name]))


def test_official_files(root: Path) -> None:
    examples = read(root)
    assert len(examples) == 16
    color = image_colors("train2014")[100]
    assert examples[2] == Example(
        id=100002,
        images=(root / "train2014" / "COCO_train2014_000000000100.jpg",),
        text="What color is it?",
        labels={color: 1.0, "maybe": 0.6, "Yes": 0.3},
        answers=(color,) * 7 + ("maybe",) * 2 + ("Yes",),
        answer_type="other",
        question_type="what color is",
        answer=color,
    )
    assert [example.id for example in examples] == [100 * 1000 + 1000 * (n // 4) + n % 4 for n in range(16)]


def test_the_images_show_the_answers(tmp_path: Path) -> None:
    """Tests that train a model depend on it."""
    write_world(tmp_path, images=12, seed=3)
    examples = read(tmp_path) + read(tmp_path, "val2014")
    assert len(examples) == 2 * 12 * len(QUESTIONS)
    assert {example.answer for example in examples} == {*ANSWERS} - {""}
    for number, example in enumerate(examples):
        answers = answers_of(color_seen(example.images[0]))
        assert (example.text, example.answer) == (QUESTIONS[number % 4][0], answers[number % 4])


def color_seen(path: Path) -> str:
    """The colour in COLORS that is nearest to an image's, because JPEG changes colours."""
    pixel = np.asarray(load_image(path), dtype=int)[9, 7]
    (color,) = (name for name, color in COLORS.items() if abs(pixel - color).max() < 9)
    return color


def test_the_seed_chooses_the_colors(tmp_path: Path) -> None:
    worlds = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_world(tmp_path / name, images=12, seed=seed)
        worlds.append([example.answer for example in read(tmp_path / name)])
    assert worlds[0] == worlds[1] != worlds[2]


def test_the_raw_answers_are_scored() -> None:
    answers = ["net"] * 4 + ["mesh"] * 3 + ["Net"] * 2 + ["a net"]
    assert soft_scores(answers) == {"net": 1.0, "mesh": 0.9, "Net": 0.6, "a net": 0.3}
    assert soft_scores(["net"] * 10) == {"net": 1.0}


def test_test_set_without_answers(root: Path) -> None:
    examples = read(root, "test2015")
    assert len(examples) == 16
    assert all(not example.labels and not example.answers and not example.answer for example in examples)


def test_test_dev_has_the_images_of_test(root: Path) -> None:
    source = json.loads((root / "v2_OpenEnded_mscoco_test2015_questions.json").read_text())
    source["data_subtype"] = "test-dev2015"
    write_json(root / "v2_OpenEnded_mscoco_test-dev2015_questions.json", source)
    assert all(example.images[0].is_file() for example in read(root, "test-dev2015"))


def test_per_split_list(root: Path) -> None:
    mixed = list_records("train2014") + list_records("val2014")  # as in karpathy_train
    mixed[0]["label"] = {}
    mixed[3]["answers"] = answer_records(["2"] * 10)
    write_json(root / "mixed.json", mixed)
    examples = read(root, "mixed", SplitConfig("mixed.json"))
    assert [example.images[0].parent.name for example in (examples[0], examples[-1])] == ["train2014", "val2014"]
    assert all(example.images[0].is_file() for example in examples)
    assert (examples[0].labels, examples[0].answer) == ({}, "")
    assert examples[1].labels == {"no": 1.0, "maybe": 0.6}
    assert (examples[1].answer, examples[1].answers, examples[1].answer_type) == ("no", (), "yes/no")
    assert examples[3].answers == ("2",) * 10


def test_list_with_official_annotations_gets_the_ten_answers(root: Path) -> None:
    write_json(root / "part.json", list_records("val2014")[:5])
    (example, *rest) = read(root, "part", SplitConfig("part.json", "v2_mscoco_val2014_annotations.json"))
    assert len(rest) == 4
    answer = answers_of(image_colors("val2014")[5000])[0]
    assert example.answers == (answer,) * 7 + ("maybe",) * 2 + ("Yes",)
    assert example.labels == {answer: 1.0, "maybe": 0.6}  # from the list
    with pytest.raises(DataError, match=r"part\.json: question_id 5000000: has no annotation in .*train2014"):
        read(root, "part", SplitConfig("part.json", ANNOTATIONS_FILE))


def test_template_of_the_images(root: Path) -> None:
    write_json(root / "own.json", [record | {"img_id": "n42"} for record in list_records("val2014")[:1]])
    (example,) = read(root, "own", SplitConfig("own.json", images="pictures/{img_id}.png"))
    assert example.images == (root / "pictures/n42.png",)
    with pytest.raises(DataError, match=r"own\.json: question_id 5000000: img_id 'n42' is not .*\{img_id\}"):
        read(root, "own", SplitConfig("own.json"))
    for template in ("{number}.jpg", "{subtype}/picture.jpg", "{image_id:zz}.jpg", "{image_id", "{image_id[0]}", "{}"):
        with pytest.raises(DataError, match=r"data\.splits\.own\.images: '.*(placeholders|same image)"):
            read(root, "own", SplitConfig("own.json", images=template))


def test_all_missing_files_are_reported_with_their_commands(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    first, second = str(caught.value).splitlines()
    assert str(tmp_path / QUESTIONS_FILE) in first
    assert "data.splits.train2014.questions" in first
    assert first.endswith(f"fetch it: vlrouting data fetch vqav2 --root {tmp_path} --only annotations")
    assert str(tmp_path / ANNOTATIONS_FILE) in second
    with pytest.raises(DataError, match=r"own\.json is missing.*visualqa\.org/download"):
        read(tmp_path, "own", SplitConfig("own.json"))
    with pytest.raises(DataError, match=r"data\.splits\.own\.questions"):
        read(tmp_path, "own", SplitConfig(""))


@pytest.mark.parametrize("name", [QUESTIONS_FILE, ANNOTATIONS_FILE])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_truncated_json(root: Path, name: str, share: float) -> None:
    text = (root / name).read_text()
    cut = text[: int(share * len(text))]
    (root / name).write_text(cut)
    last = cut.rpartition('"question_id": ')[2].partition(",")[0].partition("}")[0]
    with pytest.raises(DataError) as caught:
        read(root)
    message = str(caught.value)
    assert str(root / name) in message and f"question_id {last}" in message and "fetch it again" in message


def test_a_file_that_is_not_json(root: Path) -> None:
    for content, words in ((b"", "is empty"), (b"PK\x03\x04\xff\xfe", "UTF-8"), (b"<html>", "breaks off")):
        (root / QUESTIONS_FILE).write_bytes(content)
        with pytest.raises(DataError, match=rf"{QUESTIONS_FILE}: .*{words}.*fetch it again"):
            read(root)


def first_of(key: str, **changes: Any) -> Callable[[Any], None]:
    """Change the second record of the list under `key`; a value of None removes the key."""

    def change(content: Any) -> None:
        record = content[key][1]
        for name, value in changes.items():
            record[name] = value
            if value is None:
                del record[name]

    return change


BROKEN: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "nine answers": (
        ANNOTATIONS_FILE,
        first_of("annotations", answers=answer_records(["no"] * 9)),
        f"question_id {SECOND}: has 9 answers.*fetch",
    ),
    "answer without text": (
        ANNOTATIONS_FILE,
        first_of("annotations", answers=[*answer_records(["no"] * 9), {"answer_id": 10}]),
        f"question_id {SECOND}: answer 10 has no text.*repair",
    ),
    "annotation without question": (
        QUESTIONS_FILE,
        lambda content: content["questions"].pop(1),
        f"{ANNOTATIONS_FILE}: annotation without its question.*question_id {SECOND}\nFetch both",
    ),
    "question without annotation": (
        ANNOTATIONS_FILE,
        lambda content: content["annotations"].pop(1),
        f"{QUESTIONS_FILE}: question without its annotation.*question_id {SECOND}\nFetch both",
    ),
    "question twice": (
        QUESTIONS_FILE,
        lambda content: content["questions"].append(content["questions"][1]),
        f"question_id {SECOND} occurs twice; remove",
    ),
    "annotation twice": (
        ANNOTATIONS_FILE,
        lambda content: content["annotations"].append(content["annotations"][1]),
        f"question_id {SECOND} is annotated twice; remove",
    ),
    "question blank": (
        QUESTIONS_FILE,
        first_of("questions", question=" "),
        f"question_id {SECOND}: 'question' must be a non-empty str.*repair",
    ),
    "id missing": (
        QUESTIONS_FILE,
        first_of("questions", question_id=None),
        "record 2: has no key 'question_id'.*compare",
    ),
    "id no integer": (
        QUESTIONS_FILE,
        first_of("questions", question_id=True),
        "record 2: 'question_id' must be a non-empty int.*repair",
    ),
    "no record": (
        QUESTIONS_FILE,
        lambda content: content["questions"].insert(1, "hello"),
        "record 2 is no JSON object.*repair",
    ),
    "other image": (
        ANNOTATIONS_FILE,
        first_of("annotations", image_id=7),
        f"question_id {SECOND} is about image_id 100, but about 7 in .*{ANNOTATIONS_FILE}.*fetch both",
    ),
    "answer type": (
        ANNOTATIONS_FILE,
        first_of("annotations", answer_type="yesno"),
        f"question_id {SECOND}: answer_type 'yesno' is not one of yes/no, number, other; repair",
    ),
    "no annotations": (
        ANNOTATIONS_FILE,
        lambda content: content["annotations"].clear(),
        "'annotations' is empty; fetch",
    ),
    "no questions": (QUESTIONS_FILE, lambda content: content["questions"].clear(), "'questions' is empty; fetch"),
    "data_type": (
        QUESTIONS_FILE,
        lambda content: content.update(data_type="abstract_v002"),
        "data_type is 'abs.*choose",
    ),
    "no data_type": (ANNOTATIONS_FILE, lambda content: content.pop("data_type"), "data_type is None.*key is missing"),
    "no data_subtype": (
        QUESTIONS_FILE,
        lambda content: content.pop("data_subtype"),
        "'data_subtype' is None.*must name",
    ),
    "other split": (
        ANNOTATIONS_FILE,
        lambda content: content.update(data_subtype="val2014"),
        "data_subtype is 'val2014', but 'train2014' in .*files of the same split",
    ),
    "renamed list": (
        ANNOTATIONS_FILE,
        lambda content: content.update(annotation=content.pop("annotations")),
        "has no list 'annotations'; compare",
    ),
}


MISSING = [(QUESTIONS_FILE, "questions", key) for key in ("question", "image_id")] + [
    (ANNOTATIONS_FILE, "annotations", key)
    for key in ("image_id", "answers", "answer_type", "question_type", "multiple_choice_answer")
]


@pytest.mark.parametrize(("name", "records", "key"), MISSING)
def test_missing_key(root: Path, name: str, records: str, key: str) -> None:
    edit_json(root / name, first_of(records, **{key: None}))
    with pytest.raises(DataError) as caught:
        read(root)
    start = f"{root / name}: question_id {SECOND}: has no key '{key}' (its keys: "
    assert str(caught.value).startswith(start) and "compare with the official file format" in str(caught.value)


@pytest.mark.parametrize("case", BROKEN)
def test_invalid_official_file(root: Path, case: str) -> None:
    name, change, expected = BROKEN[case]
    edit_json(root / name, change)
    with pytest.raises(DataError, match=rf"(?s){expected}") as caught:
        read(root)
    assert str(root / name) in str(caught.value)


def test_many_unmatched_records_are_counted(root: Path) -> None:
    edit_json(root / QUESTIONS_FILE, lambda content: content["questions"].__delitem__(slice(1, 12)))
    with pytest.raises(DataError, match=r"question_id 100001, 100002, 100003, 101000, 101001 and 6 more"):
        read(root)


def test_swapped_files(root: Path) -> None:
    with pytest.raises(DataError, match=rf"{ANNOTATIONS_FILE}: has no list 'questions'; .*annotations file: swap"):
        read(root, "swapped", SplitConfig(ANNOTATIONS_FILE))


BROKEN_LISTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "no sent": (lambda records: records[1].pop("sent"), f"question_id {SECOND}: has no key 'sent'.*compare"),
    "no img_id": (lambda records: records[1].pop("img_id"), f"question_id {SECOND}: has no key 'img_id'.*compare"),
    "no label": (lambda records: records[1].pop("label"), f"question_id {SECOND} has no 'label'.*give every"),
    "score": (lambda records: records[1].update(label={"no": 3}), f"question_id {SECOND}: 'label' must map.*repair"),
    "label": (lambda records: records[1].update(label="no"), f"question_id {SECOND}: 'label' must map.*repair"),
    "twice": (lambda records: records.append(records[1]), f"question_id {SECOND} occurs twice; remove"),
    "empty": (lambda records: records.clear(), "the list is empty; fetch"),
    "nine": (
        lambda records: records[1].update(answers=answer_records(["no"] * 9)),
        f"question_id {SECOND}: has 9 answers.*fetch",
    ),
}


@pytest.mark.parametrize("case", BROKEN_LISTS)
def test_invalid_list(root: Path, case: str) -> None:
    change, expected = BROKEN_LISTS[case]
    edit_json(root / "train2014_list.json", change)
    with pytest.raises(DataError, match=rf"train2014_list\.json: {expected}"):
        read(root, "list", SplitConfig("train2014_list.json"))


def test_list_without_any_label_is_a_test_set(root: Path) -> None:
    records = [{key: record[key] for key in ("question_id", "img_id", "sent")} for record in list_records("test2015")]
    write_json(root / "test.json", records)
    examples = read(root, "test", SplitConfig("test.json"))
    assert len(examples) == 16 and not any(example.labels for example in examples)
