"""A miniature VQAv2: official questions and annotations files, per-split lists, answers, images of one colour.

Half of the questions can be answered from the picture alone, so a model that looks at it can be trained here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from vlrouting.config import DataConfig
from vlrouting.data.datasets.presence import missing_files

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200), "yellow": (200, 200, 0)}
"""Answer -> pixels."""
ANSWERS = ("", "yes", "no", *COLORS, "2")
"""The vocabulary of `write_world`, in the order of its files."""
QUESTIONS = (
    ("Is it red?", "is it"),
    ("Is this a very large and quite friendly cat?", "is this a"),
    ("What color is it?", "what color is"),
    ("How many birds are there?", "how many"),
)
"""Text and question type; every image has all of them. A question_id is the image number and three digits."""
FIRST_IMAGE = {"train2014": 100, "val2014": 5_000, "test2015": 9_000}
IMAGES = 4
"""Default number of images in a split."""


def missing_sentences(data: DataConfig, splits: list[str] | None = None, images: bool = True) -> list[str]:
    """What `missing_files` finds, as a reader's error says it."""
    return [problem.sentence for problem in missing_files(data, splits, images)]


def header(subtype: str) -> dict[str, Any]:
    """The entries of the official files besides their records."""
    return {
        "info": {"description": "a test"},
        "task_type": "Open-Ended",
        "data_type": "mscoco",
        "data_subtype": subtype,
        "license": {"name": "none"},
    }


def image_colors(subtype: str, images: int = IMAGES, seed: int = 0) -> dict[int, str]:
    """Image number -> colour, for a split: all colours are equally frequent, in random order."""
    colors = [list(COLORS)[number % len(COLORS)] for number in range(images)]
    random.Random(f"{seed}/{subtype}").shuffle(colors)
    return dict(enumerate(colors, start=FIRST_IMAGE[subtype]))


def answers_of(color: str) -> tuple[str, ...]:
    """The correct answers to QUESTIONS about an image of this colour."""
    return ("yes" if color == "red" else "no", "no", color, "2")


def question_records(subtype: str, images: int = IMAGES, seed: int = 0) -> list[dict[str, Any]]:
    """Question records of a split."""
    return [
        {"image_id": image_id, "question": text, "question_id": image_id * 1000 + number}
        for image_id in image_colors(subtype, images, seed)
        for number, (text, _) in enumerate(QUESTIONS)
    ]


def annotation_records(subtype: str, images: int = IMAGES, seed: int = 0) -> list[dict[str, Any]]:
    """Annotation records: seven annotators agree, two answer "maybe", one "Yes" with a capital."""
    return [
        {
            "question_id": image_id * 1000 + number,
            "image_id": image_id,
            "question_type": question_type,
            "answer_type": answer_type(answer),
            "multiple_choice_answer": answer,
            "answers": answer_records([answer] * 7 + ["maybe"] * 2 + ["Yes"]),
        }
        for image_id, color in image_colors(subtype, images, seed).items()
        for number, ((_, question_type), answer) in enumerate(zip(QUESTIONS, answers_of(color), strict=True))
    ]


def answer_type(answer: str) -> str:
    """The official type of an answer."""
    return {"yes": "yes/no", "no": "yes/no", "2": "number"}.get(answer, "other")


def answer_records(answers: list[str]) -> list[dict[str, Any]]:
    """The `answers` of an annotation."""
    return [
        {"answer": answer, "answer_confidence": "yes", "answer_id": number} for number, answer in enumerate(answers, 1)
    ]


def list_records(subtype: str, images: int = IMAGES, seed: int = 0) -> list[dict[str, Any]]:
    """The split as a per-split list."""
    return [
        {
            "question_id": image_id * 1000 + number,
            "img_id": f"COCO_{subtype}_{image_id:012d}",
            "sent": text,
            "question_type": question_type,
            "answer_type": answer_type(answer),
            "label": {"maybe": 0.6, answer: 1},
        }
        for image_id, color in image_colors(subtype, images, seed).items()
        for number, ((text, question_type), answer) in enumerate(zip(QUESTIONS, answers_of(color), strict=True))
    ]


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file and return its path."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_world(root: Path, images: int = IMAGES, seed: int = 0) -> DataConfig:
    """All files of train2014, val2014 and test2015 (without answers) under the names that the reader expects.

    Args:
        root: folder of the files.
        images: of each split; each has four questions.
        seed: of the images' colours.

    Returns:
        The section of an experiment that uses them.
    """
    root.mkdir(parents=True, exist_ok=True)
    for subtype in FIRST_IMAGE:
        content = header(subtype) | {"questions": question_records(subtype, images, seed)}
        write_json(root / f"v2_OpenEnded_mscoco_{subtype}_questions.json", content)
        if subtype != "test2015":
            content = header(subtype) | {"annotations": annotation_records(subtype, images, seed)}
            write_json(root / f"v2_mscoco_{subtype}_annotations.json", content)
        write_json(root / f"{subtype}_list.json", list_records(subtype, images, seed))
        (root / subtype).mkdir(exist_ok=True)
        for image_id, color in image_colors(subtype, images, seed).items():
            Image.new("RGB", (20, 16), COLORS[color]).save(root / subtype / f"COCO_{subtype}_{image_id:012d}.jpg")
    write_json(root / "trainval_label2ans.json", ANSWERS)
    write_json(root / "trainval_ans2label.json", {answer: index for index, answer in enumerate(ANSWERS)})
    return DataConfig(root=str(root), answers="trainval_label2ans.json")


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Read a JSON file, change its content in place, and write it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    write_json(path, content)
