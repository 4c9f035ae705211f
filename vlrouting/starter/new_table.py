"""A table for pictures that have none: to be filled in by hand, or with the names of their folders as answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from vlrouting.experiment.atomic import write_text_atomic
from vlrouting.starter.pictures import ClassPicture

TABLE = "data.csv"
CLASS_QUESTION = "What is in the picture?"


def write_class_table(root: Path, pictures: Sequence[ClassPicture]) -> Path:
    """A table that asks the same question about every picture; the answer is the name of its folder."""
    splits = any(picture.split for picture in pictures)
    rows = ([str(p.path), CLASS_QUESTION, p.label, *([p.split] if splits else [])] for p in pictures)
    return _write(root, ["image", "question", "answer", *(["split"] if splits else [])], rows)


def write_empty_table(root: Path, pictures: Sequence[PurePosixPath], columns: Sequence[str]) -> Path:
    """A table with a row for each picture and empty columns."""
    return _write(root, ["image", *columns], ([str(path), *("" for _ in columns)] for path in pictures))


def _write(root: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text_atomic(root / TABLE, text.getvalue())
    return root / TABLE
