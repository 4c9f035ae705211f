"""GQA: official question files, balanced or all, with or without answers.

Formats and download: https://cs.stanford.edu/people/dorarad/gqa/download.html, `docs/data.md`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.gqa_examples import question_examples
from vlrouting.data.datasets.gqa_records import choices_of, scored_records
from vlrouting.data.datasets.image_paths import ImageTemplate, Placeholders
from vlrouting.data.datasets.split_files import require_files, split_files
from vlrouting.data.example import DataError, Example

DEFAULT_SPLITS: dict[str, SplitConfig] = {
    **{
        f"{part}_{tier}": SplitConfig(f"{part}_{tier}_questions.json")
        for part in ("train", "val", "testdev", "test", "challenge")
        for tier in ("balanced", "all")
    },
    "train_all": SplitConfig("train_all_questions"),  # a folder of ten chunks
    "submission_all": SplitConfig("submission_all_questions.json"),
}
"""Splits that need no entry in `data.splits`: the official file names."""
PLACEHOLDERS = Placeholders(
    sample={"image_id": "2354786"}, identify=(frozenset({"image_id"}),), default="images/{image_id}.jpg"
)
_files = partial(split_files, required="questions", description="the questions file, or of the folder of its chunks")


def image_folders(root: Path, split_name: str, split: SplitConfig) -> dict[str, str]:
    """See `DatasetFormat`."""
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    return {template.folder(): template.key}


def read_split(root: Path, split_name: str, split: SplitConfig) -> Iterator[Example]:
    """Read and validate one split, in the order of its files. Images are not opened.

    Raises:
        DataError: files are missing (with the commands that fetch them) or invalid (with file, question and remedy).
    """
    require_files("gqa", root, _files(split_name, split))
    yield from question_examples(_chunks(root / split.questions), root, ImageTemplate(split_name, split, PLACEHOLDERS))


@dataclass(frozen=True)
class OfficialRecords:
    """What the metric reads of a split's files beside the examples. They are read anew each time: kept in memory, they
    would be copied by every process that loads data."""

    root: Path
    split: SplitConfig

    def records(self) -> dict[str, dict[str, Any]]:
        """The official records by question id, with the keys that the metric reads.

        Raises:
            DataError: names file, question and remedy.
        """
        return scored_records(_chunks(self.root / self.split.questions))

    def choices(self, question_ids: Container[str]) -> dict[str, dict[str, list[str]]] | None:
        """Valid and plausible answers of these questions, by id; None without a choices file.

        Raises:
            DataError: names file, question and remedy.
        """
        if not self.split.annotations:
            return None
        return choices_of(self.root / self.split.annotations, question_ids)


def official_records(root: Path, split_name: str, split: SplitConfig) -> OfficialRecords:
    """See `DatasetFormat`."""
    return OfficialRecords(root, split)


def _chunks(questions: Path) -> list[Path]:
    """The questions file, or the files of a folder in numerical order."""
    if not questions.is_dir():
        return [questions]
    files = sorted(questions.glob("*.json"), key=lambda file: (len(file.name), file.name))
    if not files:
        raise DataError(f"{questions}: the folder holds no .json file; unpack the archive of the questions again")
    return files


FORMAT = DatasetFormat(read_split, DEFAULT_SPLITS, _files, image_folders, official=official_records, indexed=True)
