"""Recipe `easy_vqa`: the dataset inside the PyPI package `easy-vqa`, converted once to official VQAv2 files.

Source: https://github.com/vzhou842/easy-VQA (Victor Zhou, MIT licence).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from vlrouting.config import Problem, SplitConfig
from vlrouting.data.datasets.json_records import read_json
from vlrouting.data.datasets.manifest import lost_files
from vlrouting.data.example import DataError

SPLITS: dict[str, dict[str, SplitConfig]] = {
    "vqav2": {
        name: SplitConfig(f"questions_{name}.json", f"annotations_{name}.json", "images/{subtype}/{image_id}.png")
        for name in ("train", "val", "test")
    }
}
"""What `prepare` writes, by dataset. `val` is a tenth of the package's training images; `test` is its test set."""
STAMP = "prepared.json"
_PATHS = [path for s in SPLITS["vqav2"] for path in (f"questions_{s}.json", f"annotations_{s}.json", f"images/{s}")]
VERSION = 1
"""Raised whenever the files come out differently, so that older ones are not taken for the same."""
TEST_OFFSET = 10_000
"""Added to the number of a test image, which otherwise would repeat that of a training image."""
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
"""Leading words, the longer before the shorter that it begins with. Negated questions are types of their own."""
_NOTICE = """easy-VQA, by Victor Zhou: https://github.com/vzhou842/easy-VQA
Licence of questions and images: MIT (see the project above).
Converted to the file format of VQAv2 by vlrouting; images are unchanged, `val` is a tenth of the training images.
"""

Question = tuple[str, str, int]
"""Text, answer, image number of the package."""


def problems(root: Path) -> list[Problem]:
    """Why the files are not there and cannot be made either; empty when all is well."""
    if (root / STAMP).exists():
        return lost_files(root, _PATHS)
    if importlib.util.find_spec("easy_vqa") is not None:
        return []
    message = f"{root} is not there yet and is made from the package easy-vqa, which is not installed"
    return [Problem((), message, f"run: {_INSTALL}", depends_on=("data.root",))]


def prepare(root: Path, seed: int = 0) -> None:
    """Write questions, annotations and images of train, val and test under `root`; does nothing when they are there.

    Everything is written beside `root` and moved into place whole, so a cut-off leaves nothing that looks finished.
    Several processes may call this at once: the first does the work.

    Args:
        root: folder of the files; it must not exist yet, be empty, or be of an earlier call.
        seed: chooses the validation images.

    Raises:
        DataError: the package is not installed or damaged, or `root` holds something else.
    """
    root = root.resolve()
    if _is_prepared(root, seed):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        if _is_prepared(root, seed):
            return
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise DataError(f"{root}: holds files that this recipe did not make; move them away, or change data.root")
        if problems(root):
            raise DataError(str(problems(root)[0]))
        unfinished = root.with_name(f"{root.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        _convert(unfinished, seed)
        os.replace(unfinished, root)


def _is_prepared(root: Path, seed: int) -> bool:
    if not (root / STAMP).exists():
        return False
    content = read_json(root / STAMP)
    stamp = content if isinstance(content, dict) else {}
    if stamp.get("version") != VERSION or stamp.get("seed") != seed:
        raise DataError(
            f"{root / STAMP}: made with version {stamp.get('version')} and seed {stamp.get('seed')} of the recipe, not "
            f"{VERSION} and {seed}; remove the folder, and it is made anew"
        )
    return True


def _convert(folder: Path, seed: int) -> None:
    package = importlib.import_module("easy_vqa")
    training = list(zip(*package.get_train_questions(), strict=True))
    testing = list(zip(*package.get_test_questions(), strict=True))
    held_out = _validation_images({image for _, _, image in training}, seed)
    splits: dict[str, tuple[list[Question], dict[int, str], int]] = {
        "train": ([q for q in training if q[2] not in held_out], package.get_train_image_paths(), 0),
        "val": ([q for q in training if q[2] in held_out], package.get_train_image_paths(), 0),
        "test": (testing, package.get_test_image_paths(), TEST_OFFSET),
    }
    folder.mkdir()
    for subtype, (questions, images, offset) in splits.items():
        _write_records(folder, subtype, questions, offset)
        _copy_images(folder / "images" / subtype, {q[2] for q in questions}, images, offset)
    (folder / "README.txt").write_text(_NOTICE, encoding="utf-8")
    stamp = {
        "recipe": "easy_vqa",
        "version": VERSION,
        "seed": seed,
        "package": importlib.metadata.version("easy-vqa"),
        "questions": {subtype: len(questions) for subtype, (questions, _, _) in splits.items()},
    }
    _write_json(folder / STAMP, stamp)


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
    asked: list[dict[str, Any]] = []
    annotated: list[dict[str, Any]] = []
    count: Counter[int] = Counter()
    for text, answer, image in questions:
        image_id = image + offset
        question_id = image_id * 100 + count[image]
        count[image] += 1
        asked.append({"image_id": image_id, "question": text, "question_id": question_id})
        annotated.append(_annotation(text, answer, image_id, question_id))
    _write_json(folder / f"questions_{subtype}.json", header | {"questions": asked})
    _write_json(folder / f"annotations_{subtype}.json", header | {"annotations": annotated})


def _annotation(text: str, answer: str, image_id: int, question_id: int) -> dict[str, Any]:
    return {
        "question_id": question_id,
        "image_id": image_id,
        "question_type": next((words for words in _QUESTION_TYPES if text.startswith(words)), "none of the above"),
        "answer_type": "yes/no" if answer in ("yes", "no") else "other",
        "multiple_choice_answer": answer,
        # Ten people who agree: VQA accuracy is then plain accuracy.
        "answers": [{"answer": answer, "answer_confidence": "yes", "answer_id": number} for number in range(1, 11)],
    }


def _copy_images(folder: Path, wanted: set[int], paths: Mapping[int, str], offset: int) -> None:
    folder.mkdir(parents=True)
    for image in tqdm(sorted(wanted), desc=f"easy-VQA {folder.name} images", unit="image", disable=None):
        if image not in paths:
            raise DataError(f"the package easy-vqa lacks image {image} ({folder.name}); reinstall it: {_INSTALL}")
        shutil.copyfile(paths[image], folder / f"{image + offset}.png")


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
