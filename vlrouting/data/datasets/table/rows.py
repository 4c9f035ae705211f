"""What the readers of one table have in common, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from vlrouting.data.datasets.table.mistakes import Complain

Record = Mapping[str, Any]
"""Column -> value; a column may be missing."""


class Rows(ABC):
    """The rows of one file, which can be read again and again.

    Attributes:
        path: of the file.
        unit: what a record is called in messages: `line` or `row`.
        typed: whether values have types; else every value is text.
        fixed: whether all records have the same columns.
    """

    path: Path
    unit: ClassVar[str]
    typed: ClassVar[bool]
    fixed: ClassVar[bool] = True

    @abstractmethod
    def columns(self, complain: Complain) -> Sequence[str] | None:
        """Names of the columns, read off the beginning of the file; None where it is no table, which is a mistake."""

    @abstractmethod
    def records(self, complain: Complain) -> Iterator[tuple[int, Record]]:
        """Number and values of each record that can be read; a mistake for each of the others."""

    @property
    def is_prepared(self) -> bool:
        """Whether the pictures in the file, if any, are files too."""
        return True

    def prepare(self) -> None:
        """Write the pictures in the file to files. Raises DataError."""
        return


def open_rows(path: Path, images: Path) -> Rows:
    """The reader of a file, by its name's end.

    Args:
        path: of a table (`files.EXTENSIONS`).
        images: folder that pictures inside of the file are written to.
    """
    from vlrouting.data.datasets.table.arrow_rows import ArrowRows
    from vlrouting.data.datasets.table.delimited import DelimitedRows
    from vlrouting.data.datasets.table.json_rows import JSONRows

    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return DelimitedRows(path, "," if suffix == ".csv" else "\t")
    return ArrowRows(path, images) if suffix in (".parquet", ".arrow") else JSONRows(path)
