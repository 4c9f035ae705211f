"""Rows of a CSV or TSV file: the first line names the columns, every other has a field for each of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from vlrouting.data.datasets.table.columns import COLUMNS
from vlrouting.data.datasets.table.encoding import not_text, text_lines
from vlrouting.data.datasets.table.mistakes import Complain, Mistakes
from vlrouting.data.datasets.table.rows import Record, Rows

_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_QUOTES = 'put a text with quotes into quotes, and write each quote in it twice: "a ""red"" car"'


class DelimitedRows(Rows):
    """A text file with a header."""

    unit, typed = "line", False

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path, self.delimiter = path, delimiter

    def columns(self, complain: Complain) -> Sequence[str] | None:
        """See `Rows`."""
        problem = not_text(self.path)
        if problem is not None:
            complain(None, *problem)
            return None
        lines = text_lines(self.path, Mistakes().of(self.path))  # of the encoding `records` tells
        header = next(self._fields(lines, complain), (1, []))[1]
        return header if self._is_divided(header, complain) else None

    def _is_divided(self, header: Sequence[str], complain: Complain) -> bool:
        if len(header) != 1:
            return True
        for other, name in _NAMES.items():
            if other != self.delimiter and {part.strip().strip('"') for part in header[0].split(other)} & set(COLUMNS):
                if other not in header[0]:
                    continue
                rename = ", or rename it to end in .tsv" if other == "\t" else ""
                what = f"the columns are divided by {name}, not by {_NAMES[self.delimiter]}"
                complain(1, what, f"save the table with {_NAMES[self.delimiter]}{rename}")
                return False
        return True

    def records(self, complain: Complain) -> Iterator[tuple[int, Record]]:
        """See `Rows`."""
        rows = self._fields(text_lines(self.path, complain), complain)
        header = next(rows, (1, []))[1]
        for number, fields in rows:
            if len(fields) != len(header):
                what = f"the number of fields is not that of the header, {len(header)}"
                remedy = f"put a text with {_NAMES[self.delimiter]} in it into quotes, or add what is missing"
                complain(number, what, remedy, str(len(fields)))
            else:
                yield number, dict(zip(header, fields, strict=True))

    def _fields(self, lines: Iterator[str], complain: Complain) -> Iterator[tuple[int, list[str]]]:
        """Number of the first line and fields of each row that is not blank."""
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        while True:
            first = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error:
                if reader.line_num > first:
                    complain(
                        first, "a quote is opened and not closed in its row", _QUOTES, f"up to line {reader.line_num}"
                    )
                else:
                    complain(first, "the quotes are not those of CSV", _QUOTES)
                continue
            if any(field.strip() for field in fields):
                yield first, fields
