"""VQAv2, from official questions and annotations files or from a per-split list; the content tells which.

Formats and download: https://visualqa.org/download.html, `docs/data.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import partial
from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.config.names import listed
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.json_records import name_record, read_json, take
from vlrouting.data.datasets.per_split_list import list_examples
from vlrouting.data.datasets.split_files import require_files, split_files
from vlrouting.data.datasets.vqa_annotations import (
    Annotations,
    answer_text,
    answered,
    check_header,
    read_annotations,
    soft_scores,
)
from vlrouting.data.datasets.vqa_images import ImagePaths, image_folders
from vlrouting.data.example import DataError, Example
from vlrouting.metrics import vqa_text

_TEST_IMAGES = "test2015/COCO_test2015_{image_id:012d}.jpg"

DEFAULT_SPLITS: dict[str, SplitConfig] = {
    **{
        name: SplitConfig(f"v2_OpenEnded_mscoco_{name}_questions.json", f"v2_mscoco_{name}_annotations.json")
        for name in ("train2014", "val2014")
    },
    # test-dev is a part of test2015 and has the same image files.
    **{
        name: SplitConfig(f"v2_OpenEnded_mscoco_{name}_questions.json", None, _TEST_IMAGES)
        for name in ("test2015", "test-dev2015")
    },
    **{name: SplitConfig(f"{name}.json") for name in ("karpathy_train", "karpathy_val", "karpathy_test")},
}
"""Splits that need no entry in `data.splits`: the official file names and VL-T5's lists."""
_files = partial(split_files, required="questions", description="the questions file")


def normalize_answer(answer: str) -> str:
    """An answer as an entry of the vocabulary: normalised as in the evaluation, then without commas.

    This is the rule behind the published 3129 answers (https://github.com/hengyuan-hu/bottom-up-attention-vqa,
    `tools/compute_softscore.py`). The order of the published list is arbitrary: to use a published checkpoint, set
    `data.answers` to its file.
    """
    return vqa_text.normalize_answer(answer).replace(",", "")


def read_split(root: Path, split_name: str, split: SplitConfig) -> Iterator[Example]:
    """Read and validate one split, in the order of its questions file. Images are not opened.

    Raises:
        DataError: files are missing (with the commands that fetch them) or invalid (with file, record and remedy).
    """
    require_files("vqav2", root, _files(split_name, split))
    images = ImagePaths(root, split_name, split)
    path = root / split.questions
    annotations = read_annotations(root / split.annotations) if split.annotations else None
    content = read_json(path, object_hook=answer_text)
    if isinstance(content, list):
        yield from list_examples(content, path, images, annotations)
        return
    subtype = check_header(content, path, "questions")
    if annotations is not None and annotations.data_subtype != subtype:
        raise DataError(
            f"{annotations.path}: data_subtype is '{annotations.data_subtype}', but '{subtype}' in {path}; name files "
            f"of the same split under data.splits.{split_name}"
        )
    yield from _official_examples(content["questions"], path, subtype, images, annotations)


def _official_examples(
    records: list[Any], path: Path, subtype: str, images: ImagePaths, annotations: Annotations | None
) -> Iterator[Example]:
    seen: set[int] = set()
    for number, record in enumerate(records, start=1):
        question_id = take(record, "question_id", (int,), path, number)
        if question_id in seen:
            raise DataError(f"{path}: question_id {question_id} occurs twice; remove one of the two records")
        seen.add(question_id)
        image_id = take(record, "image_id", (int,), path, number)
        text = take(record, "question", (str,), path, number)
        image = images.by_number(subtype, image_id, name_record(path, record, number))
        found = annotations.by_question.get(question_id) if annotations is not None else None
        if annotations is None or found is None:
            yield Example(question_id, image, text, {})
            continue
        if found.image_id != image_id:
            raise DataError(
                f"{name_record(path, record, number)} is about image_id {image_id}, but about {found.image_id} in "
                f"{annotations.path}; the files do not belong together: fetch both again"
            )
        yield answered(question_id, image, text, soft_scores(found.answers), found)
    if annotations is not None:
        _check_ids(seen, path, annotations)


def _check_ids(questions: Set[int], path: Path, annotations: Annotations) -> None:
    """Check that questions and annotations have the same ids."""
    annotated = annotations.by_question
    extra: dict[str, list[Any]] = {
        f"{annotations.path}: annotation without its question in {path}": [i for i in annotated if i not in questions],
        f"{path}: question without its annotation in {annotations.path}": [i for i in questions if i not in annotated],
    }
    problems = [f"{what}: question_id {listed(sorted(ids))}" for what, ids in extra.items() if ids]
    if problems:
        remedy = "Fetch both files of the split again, or remove these records from both."
        raise DataError("\n".join([*problems, remedy]))


FORMAT = DatasetFormat(read_split, DEFAULT_SPLITS, _files, image_folders, normalize_answer, indexed=True)
