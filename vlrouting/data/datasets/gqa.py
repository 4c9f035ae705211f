"""GQA: official question files, balanced or all, with or without answers.

Formats and download: https://cs.stanford.edu/people/dorarad/gqa/download.html, `data/README.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.gqa_examples import GQAExamples
from vlrouting.data.datasets.gqa_records import scored_records
from vlrouting.data.datasets.image_paths import ImageTemplate, Placeholders, image_key
from vlrouting.data.datasets.manifest import absent
from vlrouting.data.example import DataError

DEFAULT_SPLITS: dict[str, SplitConfig] = {
    **{
        f"{part}_{tier}": SplitConfig(f"{part}_{tier}_questions.json")
        for part in ("train", "val", "testdev", "test", "challenge")
        for tier in ("balanced", "all")
    },
    "train_all": SplitConfig("train_all_questions"),  # a folder of ten chunks
    "submission_all": SplitConfig("submission_all_questions.json"),
}
"""Splits that an experiment may name without saying where they lie: the official file names."""
PLACEHOLDERS = Placeholders(
    sample={"image_id": "2354786"}, identify=(frozenset({"image_id"}),), default="images/{image_id}.jpg"
)


def split_files(split_name: str, split: SplitConfig) -> dict[str, str]:
    """The split's files: path below the data root -> key in the configuration.

    Raises:
        DataError: no questions file is named.
    """
    key = f"data.splits.{split_name}"
    if not split.questions:
        remedy = "give the name of the questions file, or of the folder of its chunks"
        raise DataError.about(f"{key}.questions", "is empty", remedy)
    files = {split.questions: f"{key}.questions"}
    return files | ({split.annotations: f"{key}.annotations"} if split.annotations else {})


def image_folders(root: Path, split_name: str, split: SplitConfig) -> dict[str, str]:
    """Image folders of a split: path below the data root -> key in the configuration.

    Raises:
        DataError: the template of the images is not sound.
    """
    return {ImageTemplate(split_name, split, PLACEHOLDERS).folder(): image_key(split_name)}


def read_split(root: Path, split_name: str, split: SplitConfig) -> GQAExamples:
    """Read and check one split, in the order of its files. Images are not opened.

    Raises:
        DataError: a file is missing (with the commands that fetch all that are), or broken (file, question, remedy).
    """
    missing = absent("gqa", root, split_files(split_name, split))
    if missing:
        raise DataError.of_missing(missing)
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    choices = root / split.annotations if split.annotations else None
    return GQAExamples(_chunks(root / split.questions), choices, root, template)


def read_records(root: Path, split: SplitConfig) -> dict[str, dict[str, Any]]:
    """The split's official records by question id, as far as the metric reads them.

    Raises:
        DataError: names file, question and remedy.
    """
    return scored_records(_chunks(root / split.questions))


def _chunks(questions: Path) -> list[Path]:
    """The questions file, or those of a folder in the order of their numbers."""
    if not questions.is_dir():
        return [questions]
    files = sorted(questions.glob("*.json"), key=lambda file: (len(file.name), file.name))
    if not files:
        raise DataError(f"{questions}: the folder holds no .json file; unpack the archive of the questions again")
    return files


FORMAT = DatasetFormat(read_split, DEFAULT_SPLITS, split_files, image_folders)
