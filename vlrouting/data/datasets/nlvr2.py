"""NLVR2: statements about pairs of photographs, one JSON record per line.

Formats and download: https://github.com/lil-lab/nlvr/tree/master/nlvr2, `docs/data.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.image_paths import ImageTemplate, Placeholders
from vlrouting.data.datasets.json_records import read_ends, read_json_lines, take
from vlrouting.data.datasets.json_text import shown
from vlrouting.data.datasets.split_files import require_files, split_files
from vlrouting.data.example import DataError, Example

DEFAULT_SPLITS: dict[str, SplitConfig] = {
    "train": SplitConfig("train.json", images="images/train/{directory}/{pair}-img{side}.png"),
    **{name: SplitConfig(f"{name}.json") for name in ("dev", "test1", "test2")},
}
"""Splits that need no entry in `data.splits`: the official file names."""
PLACEHOLDERS = Placeholders(
    sample={"split": "dev", "pair": "dev-850-0", "side": 0, "directory": "67"},
    identify=(frozenset({"pair", "side"}),),
    default="{split}/{pair}-img{side}.png",
)
"""`{split}` and `{pair}` are the start of the identifier, `{side}` is 0 for left and 1 for right, `{directory}` is the
field of that name, which only training records have. Many of the `.png` files are not in PNG format."""
ANSWERS = {"True": "true", "False": "false"}
"""The file's label -> answer."""
_IDENTIFIER = re.compile(r"(?P<pair>(?P<split>\w+)-\w+-\w+)-\w+", re.ASCII)
_FIRST_SPLIT = re.compile(r'"identifier"\s*:\s*"([^"-]+)-')
_files = partial(split_files, required="questions", description="the JSON Lines file", unused="annotations")


def image_folders(root: Path, split_name: str, split: SplitConfig) -> dict[str, str]:
    """See `DatasetFormat`."""

    def values() -> list[str]:
        first = _FIRST_SPLIT.search(read_ends(root / split.questions)[0])
        return [first[1] if first is not None else split_name]

    return ImageTemplate(split_name, split, PLACEHOLDERS).folders("split", values)


def read_split(root: Path, split_name: str, split: SplitConfig) -> Iterator[Example]:
    """Read and validate one split, in the order of its file. Images are not opened.

    Raises:
        DataError: the file is missing (with the command that fetches it) or invalid (with file, line and remedy).
    """
    require_files("nlvr2", root, _files(split_name, split))
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    path = root / split.questions
    answered: bool | None = None
    seen: set[str] = set()
    for number, record in read_json_lines(path):
        place = f"line {number}"
        identifier = take(record, "identifier", (str,), path, place)
        if identifier in seen:
            raise DataError(f"{path}: {place}: identifier {identifier} occurs twice; remove one of the two lines")
        seen.add(identifier)
        answer = _answer(record, path, place)
        answered = bool(answer) if answered is None else answered
        if bool(answer) != answered:
            raise DataError(
                f"{path}: {place}: has {'a' if answer else 'no'} 'label', unlike the lines before it; give every line "
                "one, or none for a test set"
            )
        images = _images(record, identifier, root, template, path, place)
        yield _example(identifier, images, take(record, "sentence", (str,), path, place), answer)


def _example(identifier: str, images: tuple[Path, ...], text: str, answer: str) -> Example:
    if not answer:
        return Example(identifier, images, text, {})
    return Example(identifier, images, text, {answer: 1.0}, answers=(answer,), answer=answer)


def _answer(record: dict[str, Any], path: Path, place: str) -> str:
    """The label as an answer; empty in the hidden test set, which has no labels."""
    if "label" not in record:
        return ""
    label = record["label"]
    if type(label) is not str or label not in ANSWERS:
        raise DataError(
            f'{path}: {place}: \'label\' is {shown(label)}, not the string "True" or "False"; repair the line'
        )
    return ANSWERS[label]


def _images(
    record: dict[str, Any], identifier: str, root: Path, template: ImageTemplate, path: Path, place: str
) -> tuple[Path, ...]:
    """Paths of the left and the right image."""
    parts = _IDENTIFIER.fullmatch(identifier)
    if parts is None:
        raise DataError(
            f"{path}: {place}: identifier {shown(identifier)} is not of the form split-set-pair-sentence; repair the "
            "line"
        )
    directory = take(record, "directory", (int, str), path, place) if "directory" in template.used else ""
    values = {"split": parts["split"], "pair": parts["pair"], "directory": directory}
    return tuple(template.path(root, f"{path}: {place}", side=side, **values) for side in (0, 1))


FORMAT = DatasetFormat(read_split, DEFAULT_SPLITS, _files, image_folders, images=2, indexed=True)
