"""COCO captions, from Karpathy's file or an official captions file; the content tells which.

An example is one image with all its captions. Formats and download: https://cocodataset.org, `docs/data.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.config.names import listed
from vlrouting.data.datasets.captions import captioned
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.image_paths import ImageTemplate, Placeholders
from vlrouting.data.datasets.json_records import name_record, read_ends, read_json, take
from vlrouting.data.datasets.json_text import usable_text
from vlrouting.data.datasets.karpathy import FOLDERS, check_number, folders_of, karpathy_examples
from vlrouting.data.datasets.split_files import require_files, split_files
from vlrouting.data.example import DataError, Example

DEFAULT_SPLITS: dict[str, SplitConfig] = {
    **{name: SplitConfig(annotations="dataset_coco.json") for name in ("train", "val", "test")},
    **{
        name: SplitConfig(annotations=f"annotations/captions_{name}.json", images=f"{name}/{{file_name}}")
        for name in ("train2014", "val2014", "train2017", "val2017")
    },
}
"""Splits that need no entry in `data.splits`: Karpathy's and the official ones."""
PLACEHOLDERS = Placeholders(
    sample={"subtype": "val2014", "image_id": 1, "file_name": "COCO_val2014_000000000001.jpg"},
    identify=(frozenset({"file_name"}), frozenset({"image_id"})),
    default="{subtype}/{file_name}",
)
"""`{subtype}` is Karpathy's `filepath`, or a part of the official file name: train2014 for COCO_train2014_…"""
_SUBTYPE = re.compile(r"COCO_([^_/]+)_\d+\.")
_files = partial(split_files, required="annotations", description="the captions file", unused="questions")


def image_folders(root: Path, split_name: str, split: SplitConfig) -> dict[str, str]:
    """See `DatasetFormat`."""
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    return template.folders("subtype", lambda: _subtypes(root / (split.annotations or ""), split_name))


def read_split(root: Path, split_name: str, split: SplitConfig) -> Iterator[Example]:
    """Read and validate one split: one example per image, in the order of the file. Images are not opened.

    Raises:
        DataError: the file is missing (with the command that fetches it) or invalid (with file, record and remedy).
    """
    (file,) = files = _files(split_name, split)
    require_files("coco", root, files)
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    content = read_json(root / file, object_hook=_caption_text)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list) or not content["images"]:
        raise DataError(
            f"{root / file}: has no list 'images'; name Karpathy's dataset_coco.json or an official captions file"
        )
    if "annotations" in content:
        yield from _official_examples(content, root / file, root, template)
    else:
        yield from karpathy_examples(content, root / file, root, split_name, template)


def _caption_text(record: dict[str, Any]) -> Any:
    """JSON hook: keeps only the text of a sentence in Karpathy's file; the tokens would take over 1 GB."""
    raw = record.get("raw")
    return usable_text(raw) if isinstance(raw, str) else record


def _official_examples(content: dict[str, Any], path: Path, root: Path, template: ImageTemplate) -> Iterator[Example]:
    captions: dict[int, list[str]] = {}
    paths: dict[int, Path] = {}
    for number, record in enumerate(content["images"], start=1):
        image_id = take(record, "id", (int,), path, number)
        if image_id in captions:
            raise DataError(f"{path}: image id {image_id} occurs twice; remove one of the two records")
        captions[image_id] = []
        file_name = take(record, "file_name", (str,), path, number)
        where = name_record(path, record, number)
        check_number(file_name, image_id, where)
        subtype = _subtype(file_name, template, where)
        paths[image_id] = template.path(root, where, subtype=subtype, image_id=image_id, file_name=file_name)
    unknown: dict[int, None] = {}
    for number, record in enumerate(take(content, "annotations", (list,), path, 1), start=1):
        image_id = take(record, "image_id", (int,), path, number)
        caption = take(record, "caption", (str,), path, number)
        if image_id in captions:
            captions[image_id].append(caption)
        else:
            unknown[image_id] = None
    _check_ids(captions, unknown, path)
    for image_id, texts in captions.items():
        yield captioned(image_id, paths[image_id], texts, f"{path}: image {image_id}")


def _check_ids(captions: dict[int, list[str]], unknown: dict[int, None], path: Path) -> None:
    """Check that every image has captions, and that every caption's image is listed."""
    without_caption = [image_id for image_id, texts in captions.items() if not texts]
    problems = []
    if unknown:
        problems.append(f"{path}: captions of images that the file does not list: image_id {listed(unknown)}")
    if without_caption:
        problems.append(f"{path}: images without a caption: {listed(without_caption)}")
    if problems:
        raise DataError("\n".join([*problems, "Fetch the file again, or remove these records."]))


def _subtype(file_name: str, template: ImageTemplate, where: str) -> str:
    match = _SUBTYPE.match(file_name)
    if match is None and "subtype" in template.used:
        raise DataError(
            f"{where}: file_name '{file_name}' does not tell its folder, as COCO_train2014_… would; set "
            f"{template.key} to a template such as train2017/{{file_name}}"
        )
    return match[1] if match is not None else ""


def _subtypes(path: Path, split_name: str) -> list[str]:
    """Values of `{subtype}` in a split, from the start of its file, or from its name if the file is missing."""
    head, _ = read_ends(path)
    if not head:
        return FOLDERS.get(split_name, [])
    folders = folders_of(head, split_name)
    return folders if folders is not None else sorted(set(_SUBTYPE.findall(head)))


FORMAT = DatasetFormat(read_split, DEFAULT_SPLITS, _files, image_folders, indexed=True)
