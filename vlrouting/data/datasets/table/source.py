"""What decides which examples are read from a user's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import DataConfig
from vlrouting.data.datasets.table.columns import CAPTION, QUESTION, check_columns
from vlrouting.data.datasets.table.files import Tables
from vlrouting.data.datasets.table.images import ImageFiles
from vlrouting.data.datasets.table.mistakes import Complain, Mistakes
from vlrouting.data.datasets.table.record import RowReader
from vlrouting.data.datasets.table.rows import Rows, open_rows

EXTRACTED = "extracted-images"
"""Folder below the data root for the pictures that a parquet file contains."""


def _target_of(file: Path) -> str:
    """What a table is for, where no task says so."""
    columns = open_rows(file, file.parent).columns(Mistakes().of(file)) or ()
    return "caption" if not set(columns) & set(QUESTION) and set(columns) & set(CAPTION) else "answer"


@dataclass(frozen=True)
class TableSource:
    """Everything that decides what is read; equal ones read the same."""

    root: Path
    files: tuple[tuple[Path, str | None], ...]
    """Every file, and the split that it is of; None for a part of the one table."""
    target: str
    """`answer` or `caption`."""
    roles: tuple[tuple[str, str], ...]
    """The chosen splits, which must have rows -> the key that chooses each: `train`, `validation`, `test`."""
    known: tuple[str, ...]
    """Names that the column `split` may have."""
    seed: int
    shares: tuple[float, float, float]
    images: bool
    """Whether the pictures have to be there."""
    state: tuple[tuple[int, int], ...]
    """Size and time of every file, so that a changed one is checked again."""

    @classmethod
    def of(cls, data: DataConfig, tables: Tables, known: Iterable[str], images: bool) -> TableSource:
        """
        Raises:
            OSError: a file is missing.
        """
        roles = (("train", data.train), ("validation", data.validation), ("test", data.test))
        shares, files = data.split_shares, tables.files
        stats = [path.stat() for path, _ in files]
        return cls(
            Path(data.root),
            files,
            data.target or _target_of(files[0][0]),
            tuple({split: role for role, split in reversed(roles) if split is not None}.items()),
            tuple(known),
            data.split_seed,
            (shares.train, shares.val, shares.test),
            images,
            tuple((stat.st_size, stat.st_mtime_ns) for stat in stats),
        )

    def needs_answers(self, split: str | None) -> bool:
        """Whether every row of a split needs an answer: not where a test set's answers are not public."""
        return self.target == "caption" or split is None or dict(self.roles).get(split) in ("train", "validation")

    def check_columns(self, columns: Sequence[str], rows: Rows, split: str | None, complain: Complain) -> bool:
        """Whether the rows of one of the files can be read; mistakes in its header otherwise."""
        answers = self.needs_answers(split)
        return check_columns(columns, self.target, complain, needs_answers=answers, typed=rows.typed)

    def id_of(self, path: Path, number: int) -> int | str:
        """The id of a row that has none."""
        alone = len({split for _, split in self.files}) == len(self.files)
        return number if alone else f"{path.stem}-{number}"

    def rows(self, path: Path) -> Rows:
        """The reader of one of the files."""
        return open_rows(path, self.root / EXTRACTED)

    def reader(
        self, columns: Iterable[str], rows: Rows, images: ImageFiles, images_per_row: int | None, complain: Complain
    ) -> RowReader:
        """What validates the rows of one of the files."""
        return RowReader(
            columns,
            target=self.target,
            typed=rows.typed,
            images=images,
            splits=self.known,
            images_per_row=images_per_row,
            complain=complain,
        )
