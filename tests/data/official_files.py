"""A VQAv2 in miniature: official questions and annotations files, per-split lists, answers, images of a few pixels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from vlrouting.config import DataConfig

ANSWERS = ("", "yes", "no", "red", "2")
"""The vocabulary of `write_world`, in the order of its files."""
TYPES = {"yes": "yes/no", "no": "yes/no", "2": "number", "red": "other"}
QUESTIONS = (
    ("Is this a dog?", "is this a", "yes"),
    ("Is this a very large and quite friendly cat?", "is this a", "no"),
    ("What color is the car?", "what color is the", "red"),
    ("How many birds are there?", "how many", "2"),
)
FIRST_IMAGE = {"train2014": 100, "val2014": 500, "test2015": 900}
IMAGES = 4
"""Images of a split; each has all of QUESTIONS."""


def header(subtype: str) -> dict[str, Any]:
    """What the official files have beside their records."""
    return {
        "info": {"description": "a test"},
        "task_type": "Open-Ended",
        "data_type": "mscoco",
        "data_subtype": subtype,
        "license": {"name": "none"},
    }


def image_ids(subtype: str) -> range:
    """Numbers of a split's images."""
    return range(FIRST_IMAGE[subtype], FIRST_IMAGE[subtype] + IMAGES)


def question_records(subtype: str) -> list[dict[str, Any]]:
    """Question records of a split."""
    return [
        {"image_id": image_id, "question": text, "question_id": image_id * 1000 + number}
        for image_id in image_ids(subtype)
        for number, (text, _, _) in enumerate(QUESTIONS)
    ]


def annotation_records(subtype: str) -> list[dict[str, Any]]:
    """Annotation records: seven people agree, two say "maybe", one "Yes" with a capital."""
    return [
        {
            "question_id": image_id * 1000 + number,
            "image_id": image_id,
            "question_type": question_type,
            "answer_type": TYPES[answer],
            "multiple_choice_answer": answer,
            "answers": answer_records([answer] * 7 + ["maybe"] * 2 + ["Yes"]),
        }
        for image_id in image_ids(subtype)
        for number, (_, question_type, answer) in enumerate(QUESTIONS)
    ]


def answer_records(answers: list[str]) -> list[dict[str, Any]]:
    """The `answers` of an annotation."""
    return [
        {"answer": answer, "answer_confidence": "yes", "answer_id": number} for number, answer in enumerate(answers, 1)
    ]


def list_records(subtype: str) -> list[dict[str, Any]]:
    """The split as a per-split list."""
    return [
        {
            "question_id": image_id * 1000 + number,
            "img_id": f"COCO_{subtype}_{image_id:012d}",
            "sent": text,
            "question_type": question_type,
            "answer_type": TYPES[answer],
            "label": {"maybe": 0.6, answer: 1},
        }
        for image_id in image_ids(subtype)
        for number, (text, question_type, answer) in enumerate(QUESTIONS)
    ]


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file and return its path."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_world(root: Path) -> DataConfig:
    """All files of train2014, val2014 and test2015, and the section of an experiment that uses them."""
    root.mkdir(parents=True, exist_ok=True)
    for subtype in FIRST_IMAGE:
        content = header(subtype) | {"questions": question_records(subtype)}
        write_json(root / f"v2_OpenEnded_mscoco_{subtype}_questions.json", content)
        if subtype != "test2015":
            content = header(subtype) | {"annotations": annotation_records(subtype)}
            write_json(root / f"v2_mscoco_{subtype}_annotations.json", content)
        write_json(root / f"{subtype}_list.json", list_records(subtype))
        (root / subtype).mkdir(exist_ok=True)
        for image_id in image_ids(subtype):
            color = (image_id % 256, 3 * image_id % 256, 7 * image_id % 256)
            Image.new("RGB", (20, 16), color).save(root / subtype / f"COCO_{subtype}_{image_id:012d}.jpg")
    write_json(root / "trainval_label2ans.json", ANSWERS)
    write_json(root / "trainval_ans2label.json", {answer: index for index, answer in enumerate(ANSWERS)})
    return DataConfig(root=str(root), answers="trainval_label2ans.json")


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Read, change in place, write back."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    write_json(path, content)
