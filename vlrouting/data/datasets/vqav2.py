"""VQAv2: official questions and annotations files, or a per-split list; which of the two is seen from the content.

Formats and download: https://visualqa.org/download.html, `data/README.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.config.names import listed
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.json_records import read_json, take
from vlrouting.data.datasets.manifest import absent
from vlrouting.data.datasets.per_split_list import list_examples
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

__all__ = ["DEFAULT_SPLITS", "image_folders", "normalize_answer", "read_split", "split_files"]

_TEST_IMAGES = "test2015/COCO_test2015_{image_id:012d}.jpg"

DEFAULT_SPLITS: dict[str, SplitConfig] = {
    **{
        name: SplitConfig(f"v2_OpenEnded_mscoco_{name}_questions.json", f"v2_mscoco_{name}_annotations.json")
        for name in ("train2014", "val2014")
    },
    # test-dev is a part of test2015 and shares its images, under the name of the whole.
    **{
        name: SplitConfig(f"v2_OpenEnded_mscoco_{name}_questions.json", None, _TEST_IMAGES)
        for name in ("test2015", "test-dev2015")
    },
    **{name: SplitConfig(f"{name}.json") for name in ("karpathy_train", "karpathy_val", "karpathy_test")},
}
"""Splits that an experiment may name without saying where they lie: official file names, and VL-T5's lists."""


def split_files(split_name: str, split: SplitConfig) -> dict[str, str]:
    """The split's files: path below the data root -> key in the configuration.

    Raises:
        DataError: no questions file is named.
    """
    key = f"data.splits.{split_name}"
    if not split.questions:
        raise DataError.about(f"{key}.questions", "is empty", "give the name of the questions file")
    files = {split.questions: f"{key}.questions"}
    return files | ({split.annotations: f"{key}.annotations"} if split.annotations else {})


def normalize_answer(answer: str) -> str:
    """An answer as a vocabulary has it, by the rule behind the published 3129 answers: normalised as the evaluation
    does it, without commas (https://github.com/hengyuan-hu/bottom-up-attention-vqa, `tools/compute_softscore.py`).

    The order of the published list is arbitrary and cannot be rebuilt: read the file where a published checkpoint is
    used.
    """
    return vqa_text.normalize_answer(answer).replace(",", "")


def read_split(root: Path, split_name: str, split: SplitConfig) -> list[Example]:
    """Read and check one split, in the order of its questions file. Images are not opened.

    Raises:
        DataError: a file is missing (with the commands that fetch all that are), or broken (file, record, remedy).
    """
    missing = absent("vqav2", root, split_files(split_name, split))
    if missing:
        raise DataError.of_missing(missing)
    images = ImagePaths(root, split_name, split)
    path = root / split.questions
    annotations = read_annotations(root / split.annotations) if split.annotations else None
    content = read_json(path, object_hook=answer_text)
    if isinstance(content, list):
        return list_examples(content, path, images, annotations)
    subtype = check_header(content, path, "questions")
    if annotations is not None and annotations.data_subtype != subtype:
        raise DataError(
            f"{annotations.path}: data_subtype is '{annotations.data_subtype}', but '{subtype}' in {path}; name files "
            f"of the same split under data.splits.{split_name}"
        )
    examples = _official_examples(content["questions"], path, subtype, images, annotations)
    if annotations is not None:
        _check_pairs(examples, path, annotations)
    return examples


def _official_examples(
    records: list[Any], path: Path, subtype: str, images: ImagePaths, annotations: Annotations | None
) -> list[Example]:
    examples: list[Example] = []
    seen: set[int] = set()
    for number, record in enumerate(records, start=1):
        question_id = take(record, "question_id", (int,), path, number)
        if question_id in seen:
            raise DataError(f"{path}: question_id {question_id} occurs twice; remove one of the two records")
        seen.add(question_id)
        image_id = take(record, "image_id", (int,), path, number)
        text = take(record, "question", (str,), path, number)
        image = images.by_number(subtype, image_id)
        found = annotations.by_question.get(question_id) if annotations is not None else None
        if annotations is None or found is None:
            examples.append(Example(question_id, image, text, {}))
            continue
        if found.image_id != image_id:
            raise DataError(
                f"{path}: question_id {question_id} is about image_id {image_id}, but about {found.image_id} in "
                f"{annotations.path}; the files do not belong together: fetch both again"
            )
        examples.append(answered(question_id, image, text, soft_scores(found.answers), found))
    return examples


def _check_pairs(examples: list[Example], path: Path, annotations: Annotations) -> None:
    """Every question has its annotation, and every annotation its question."""
    asked = {example.id for example in examples}
    unanswered = [example.id for example in examples if example.id not in annotations.by_question]
    unasked = [question_id for question_id in annotations.by_question if question_id not in asked]
    found = []
    if unasked:
        found.append(f"{annotations.path}: annotation without its question in {path}: question_id {listed(unasked)}")
    if unanswered:
        where = f"{path}: question without its annotation in {annotations.path}"
        found.append(f"{where}: question_id {listed(unanswered)}")
    if found:
        raise DataError("\n".join([*found, "Fetch both files of the split again, or remove these records from both."]))


FORMAT = DatasetFormat(read_split, DEFAULT_SPLITS, split_files, image_folders, normalize_answer)
