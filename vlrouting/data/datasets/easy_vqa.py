"""Recipe `easy_vqa`: converts the dataset in the PyPI package `easy-vqa` to official VQAv2 files.

Source: https://github.com/vzhou842/easy-VQA (Victor Zhou, MIT licence).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vlrouting.config import Problem, SplitConfig
from vlrouting.data.datasets.recipe_folder import STAMP, folder_problems, make_once
from vlrouting.data.example import DataError
from vlrouting.progress_bar import progress_bar

SPLITS: dict[str, dict[str, SplitConfig]] = {
    "vqav2": {
        name: SplitConfig(f"questions_{name}.json", f"annotations_{name}.json", "images/{subtype}/{image_id}.png")
        for name in ("train", "val", "test")
    }
}
"""What `prepare` makes, by dataset. `val` is a tenth of the package's training images; `test` is its test set."""
_PATHS = [path for s in SPLITS["vqav2"] for path in (f"questions_{s}.json", f"annotations_{s}.json", f"images/{s}")]
VERSION = 1
"""Increased whenever the files change, so that older files are not used."""
_MADE_AS = {"recipe": "easy_vqa", "version": VERSION}
TEST_OFFSET = 10_000
"""Added to the number of a test image, because the package numbers training and test images alike."""
VALIDATION_SHARE = 0.1
_INSTALL = 'pip install "vlrouting[demo]"'
_QUESTION_TYPES = (
    "does the image not contain",
    "does the image contain",
    "is there not",
    "is there",
    "is no",
    "is a",
    "what color is",
    "what is the color of",
    "what is the",
    "what shape",
)
"""First words of a question; a longer entry comes before its own prefix. Negated questions are types of their own."""
_NOTICE = """easy-VQA, by Victor Zhou: https://github.com/vzhou842/easy-VQA
Licence of questions and images: MIT (see the project above).
Converted to the file format of VQAv2 by vlrouting; images are unchanged, `val` is a tenth of the training images.
"""

Question = tuple[str, str, int]
"""Text, answer, the package's image number."""


def problems(root: Path) -> list[Problem]:
    """Why the files neither exist nor can be made; empty if they exist or can be made."""
    if (root / STAMP).exists():
        return folder_problems(root, _MADE_AS, _PATHS)
    if importlib.util.find_spec("easy_vqa") is not None:
        return []
    message = f"{root} does not exist and is made from the package easy-vqa, which is not installed"
    return [Problem((), message, f"run: {_INSTALL}", depends_on=("data.root",))]


def prepare(root: Path, seed: int = 0) -> None:
    """Make questions, annotations and images of train, val and test under `root`, unless they exist (see `make_once`).

    Args:
        root: folder of the files.
        seed: chooses the validation images.

    Raises:
        DataError: the package is not installed or incomplete, or `root` contains something else.
    """
    root = root.resolve()

    def make(folder: Path) -> Mapping[str, object]:
        if problems(root):
            raise DataError(str(problems(root)[0]))
        return _convert(folder, seed)

    make_once(root, {**_MADE_AS, "seed": seed}, make)


def _convert(folder: Path, seed: int) -> Mapping[str, object]:
    package = importlib.import_module("easy_vqa")
    training = list(zip(*package.get_train_questions(), strict=True))
    testing = list(zip(*package.get_test_questions(), strict=True))
    validation = _validation_images({image for _, _, image in training}, seed)
    splits: dict[str, tuple[list[Question], dict[int, str], int]] = {
        "train": ([q for q in training if q[2] not in validation], package.get_train_image_paths(), 0),
        "val": ([q for q in training if q[2] in validation], package.get_train_image_paths(), 0),
        "test": (testing, package.get_test_image_paths(), TEST_OFFSET),
    }
    folder.mkdir()
    for subtype, (questions, images, offset) in splits.items():
        _write_records(folder, subtype, questions, offset)
        _copy_images(folder / "images" / subtype, {q[2] for q in questions}, images, offset)
    (folder / "README.txt").write_text(_NOTICE, encoding="utf-8")
    return {
        "package": importlib.metadata.version("easy-vqa"),
        "questions": {subtype: len(questions) for subtype, (questions, _, _) in splits.items()},
    }


def _validation_images(images: Iterable[int], seed: int) -> set[int]:
    order = sorted(images)
    random.Random(seed).shuffle(order)
    return set(order[: round(VALIDATION_SHARE * len(order))])


def _write_records(folder: Path, subtype: str, questions: list[Question], offset: int) -> None:
    header = {
        "info": {"description": "easy-VQA in the file format of VQAv2", "url": "https://github.com/vzhou842/easy-VQA"}
        | {"version": "1.0", "contributor": "Victor Zhou"},
        "task_type": "Open-Ended",
        "data_type": "easy_vqa",
        "data_subtype": subtype,
        "license": {"name": "MIT", "url": "https://github.com/vzhou842/easy-VQA"},
    }
    records: dict[str, list[dict[str, Any]]] = {"questions": [], "annotations": []}
    count: Counter[int] = Counter()
    for text, answer, image in questions:
        image_id = image + offset
        question_id = image_id * 100 + count[image]
        count[image] += 1
        records["questions"].append({"image_id": image_id, "question": text, "question_id": question_id})
        records["annotations"].append(_annotation(text, answer, image_id, question_id))
    for kind, content in records.items():
        (folder / f"{kind}_{subtype}.json").write_text(json.dumps(header | {kind: content}), encoding="utf-8")


def _annotation(text: str, answer: str, image_id: int, question_id: int) -> dict[str, Any]:
    return {
        "question_id": question_id,
        "image_id": image_id,
        "question_type": next((words for words in _QUESTION_TYPES if text.startswith(words)), "none of the above"),
        "answer_type": "yes/no" if answer in ("yes", "no") else "other",
        "multiple_choice_answer": answer,
        # Ten annotators who agree, so that VQA accuracy equals plain accuracy.
        "answers": [{"answer": answer, "answer_confidence": "yes", "answer_id": number} for number in range(1, 11)],
    }


def _copy_images(folder: Path, wanted: set[int], paths: Mapping[int, str], offset: int) -> None:
    folder.mkdir(parents=True)
    with progress_bar(f"easy-VQA {folder.name}", len(wanted), "images") as advance:
        for image in sorted(wanted):
            if image not in paths:
                raise DataError(f"the package easy-vqa lacks image {image} ({folder.name}); reinstall it: {_INSTALL}")
            shutil.copyfile(paths[image], folder / f"{image + offset}.png")
            advance(1)
