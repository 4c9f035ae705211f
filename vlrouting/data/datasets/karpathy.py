"""Karpathy's `dataset_coco.json`: the images of all splits, with their captions and their split.

Source: https://cs.stanford.edu/people/karpathy/deepimagesent (CVPR 2015). The number of an image in COCO is `cocoid`;
`imgid` only counts the file's records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlrouting.config.names import did_you_mean
from vlrouting.data.datasets.captions import captioned
from vlrouting.data.datasets.image_paths import ImageTemplate
from vlrouting.data.datasets.json_records import name_record, take
from vlrouting.data.datasets.json_text import shown, usable_text
from vlrouting.data.example import DataError, Example

PARTS = {"train": ("train", "restval")}
"""Split -> values of `split` in the file, if not the split's own name: the rest of val2014 is training data."""
FOLDERS = {"train": ["train2014", "val2014"], "restval": ["val2014"], "val": ["val2014"], "test": ["val2014"]}
"""`filepath` of a split's images in the original file."""
SPLITS = tuple(FOLDERS)
"""All values of `split` in files of this format."""
REAL_SIZE = 100_000
"""A file named "coco" with more images than this is treated as the original file."""
SPLIT_SIZES = {"train": 113_287, "val": 5_000, "test": 5_000}
"""Number of images in the splits of the original file."""
_OFFICIAL_NAME = re.compile(r"(?:COCO_[^_/]+_)?(\d{12})\.[a-z]+")
_SPLIT_OR_FOLDER = re.compile(r'"(filepath|split)"\s*:\s*"([^"]*)"')


def karpathy_examples(
    content: dict[str, Any], path: Path, root: Path, split_name: str, template: ImageTemplate
) -> Iterator[Example]:
    """One example per image of a split, in the order of the file.

    Raises:
        DataError: names file, cocoid and remedy.
    """
    images: list[Any] = content["images"]
    parts = PARTS.get(split_name, (split_name,))
    splits: set[str] = set()
    seen: set[int] = set()
    found = 0
    for number, record in enumerate(images, start=1):
        part = take(record, "split", (str,), path, number)
        if part not in SPLITS and part != split_name:
            raise DataError(
                f"{name_record(path, record, number)}: the split {shown(part)} is not one of {', '.join(SPLITS)}; "
                f"repair the record.{did_you_mean(part, SPLITS)}"
            )
        splits.add(part)
        cocoid = take(record, "cocoid", (int,), path, number)
        if cocoid in seen:
            raise DataError(f"{path}: cocoid {cocoid} occurs twice; remove one of the two records")
        seen.add(cocoid)
        if part in parts:
            found += 1
            yield _example(record, cocoid, path, number, root, template)
    if not found:
        raise DataError(_no_such_split(path, split_name, splits))
    _check_size(content, len(images), path, split_name, found)


def _example(
    record: dict[str, Any], cocoid: int, path: Path, number: int, root: Path, template: ImageTemplate
) -> Example:
    where = name_record(path, record, number)
    folder = take(record, "filepath", (str,), path, number, blank=True)
    file_name = take(record, "filename", (str,), path, number)
    captions = take(record, "sentences", (list,), path, number)
    for position, caption in enumerate(map(usable_text, captions), start=1):
        if type(caption) is not str:
            raise DataError(f"{where}: caption {position} has no text under 'raw' ({shown(caption)}); repair it")
    check_number(file_name, cocoid, where)
    image = template.path(root, where, subtype=folder or ".", image_id=cocoid, file_name=file_name)
    return captioned(cocoid, image, captions, where)


def check_number(file_name: str, image_id: int, where: str) -> None:
    """Check that an official file name, `COCO_val2014_000000391895.jpg` or `000000391895.jpg`, has the image's number.

    Raises:
        DataError: it has another; starts with `where`.
    """
    official = _OFFICIAL_NAME.fullmatch(file_name)
    if official is not None and int(official[1]) != image_id:
        raise DataError(f"{where}: the file name {file_name} is that of another image; fetch the file again")


def _no_such_split(path: Path, split_name: str, splits: set[str]) -> str:
    return (
        f"{path}: has no image of a split '{split_name}', only of {', '.join(sorted(splits))}; the name under "
        f"data.splits chooses the records of this file.{did_you_mean(split_name, splits)}"
    )


def _check_size(content: dict[str, Any], images: int, path: Path, split_name: str, found: int) -> None:
    expected = SPLIT_SIZES.get(split_name)
    real = content.get("dataset") == "coco" and images > REAL_SIZE
    if real and expected is not None and found != expected:
        raise DataError(
            f"{path}: the split '{split_name}' of COCO has {expected:,} images, but {found:,} were found among the "
            f'{images:,} of the file; fetch it again, or set its "dataset" to another name if it is your own'
        )


def folders_of(head: str, split_name: str) -> list[str] | None:
    """Folders (`filepath`) of a split's images, from the start of the file; None if it is not Karpathy's file."""
    pairs = _SPLIT_OR_FOLDER.findall(head)
    if not pairs:
        return None
    records = [dict(both) for both in zip(pairs[::2], pairs[1::2], strict=False)]  # each record has both keys
    if any(record.get("filepath") in FOLDERS["train"] for record in records):
        return FOLDERS.get(split_name, [])  # the original file is long, and its splits are mixed
    parts = PARTS.get(split_name, (split_name,))
    return sorted({record.get("filepath", "") for record in records if record.get("split") in parts})
