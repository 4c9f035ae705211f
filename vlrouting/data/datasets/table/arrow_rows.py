"""Rows of a parquet file, or of one that Hugging Face's `save_to_disk` wrote; pictures in it are extracted first."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlrouting.data.datasets.table.columns import COLUMNS, IMAGE
from vlrouting.data.datasets.table.extraction import Picture, extracted_names, is_extracted
from vlrouting.data.datasets.table.mistakes import Complain
from vlrouting.data.datasets.table.rows import Record, Rows

if TYPE_CHECKING:
    import pyarrow

_TEXT_ROWS, _PICTURE_ROWS = 8192, 64
"""Rows that are in memory at a time."""
_PENDING = "a picture that is not extracted yet"


class ArrowRows(Rows):
    """A file of typed columns. A picture is a path, its bytes, or a struct of `bytes` and `path`."""

    unit, typed = "row", True

    def __init__(self, path: Path, images: Path) -> None:
        """
        Args:
            path: ends in .parquet or .arrow.
            images: folder below the data root, that pictures are written to.
        """
        self.path, self.images = path, images

    def columns(self, complain: Complain) -> Sequence[str] | None:
        """See `Rows`."""
        if importlib.util.find_spec("pyarrow") is None:
            complain(None, "needs the package pyarrow", 'run: pip install "vlrouting[parquet]"')
            return None
        try:
            schema = self._schema()
        except (OSError, ValueError) as error:  # pyarrow's errors are of these classes
            what = f"cannot be read as {self.path.suffix.lstrip('.')} ({' '.join(str(error).split())[:200]})"
            complain(None, what, "it was cut short or damaged: fetch it again")
            return None
        for field in schema:
            if field.name in COLUMNS and not _is_readable(field.name, field.type):
                what = f"the column '{field.name}' has the type {field.type}, not text"
                complain(None, what, "convert it; numbers of classes become their names")
        readable = all(field.name not in COLUMNS or _is_readable(field.name, field.type) for field in schema)
        return list(schema.names) if readable else None

    @property
    def is_prepared(self) -> bool:
        """See `Rows`."""
        return self._pictures() is None or is_extracted(self.path, self.images)

    def prepare(self) -> None:
        """See `Rows`."""
        column = self._pictures()
        if column is not None:
            pictures = (_of_cell(value) for batch in self._batches([column], _PICTURE_ROWS) for value in batch[column])
            extracted_names(self.path, self.images, pictures)

    def records(self, complain: Complain) -> Iterator[tuple[int, Record]]:
        """See `Rows`. Before `prepare`, a picture has any name."""
        column = self._pictures()
        names = self._names(column) if column is not None else iter(())
        wanted = [name for name in self._schema().names if name in COLUMNS and name != column]
        number = 0
        for batch in self._batches(wanted, _TEXT_ROWS):
            for values in zip(*batch.values(), strict=True) if batch else ():
                number += 1
                record = dict(zip(wanted, values, strict=True))
                if column is not None:
                    found = next(names)
                    record[column] = found if column == "images" else next(iter(found), None)
                yield number, record

    def _names(self, column: str) -> Iterator[list[str]]:
        """Of each row the paths of its pictures; before `prepare`, as many of any name as the first row has."""
        if self.is_prepared:
            return iter(extracted_names(self.path, self.images))
        first = next(self._batches([column], 1), {column: [None]})[column]
        return repeat([_PENDING] * max([1, *(len(_of_cell(cell)) for cell in first)]))

    def _pictures(self) -> str | None:
        """The column that has pictures, and not only their paths."""
        try:
            schema = self._schema()
        except (ImportError, OSError, ValueError):  # which `columns` names
            return None
        return next((name for name in IMAGE if name in schema.names and _has_bytes(schema.field(name).type)), None)

    def _schema(self) -> pyarrow.Schema:
        import pyarrow.parquet  # imported here, because it is optional

        if self.path.suffix.lower() == ".parquet":
            return pyarrow.parquet.read_schema(self.path)
        with self._stream() as stream:
            return stream.schema

    def _stream(self) -> Any:
        """An Arrow file, in either of its two forms."""
        import pyarrow.ipc

        source = pyarrow.memory_map(str(self.path))
        try:
            return pyarrow.ipc.open_stream(source)
        except pyarrow.ArrowInvalid:
            return pyarrow.ipc.open_file(source)

    def _batches(self, columns: Sequence[str], rows: int) -> Iterator[dict[str, list[Any]]]:
        """Values of some columns, by name."""
        import pyarrow.parquet

        if self.path.suffix.lower() == ".parquet":
            with pyarrow.parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(rows, columns=list(columns)):
                    yield {name: batch.column(name).to_pylist() for name in columns}
            return
        with self._stream() as stream:
            count = getattr(stream, "num_record_batches", None)
            batches = iter(stream) if count is None else map(stream.get_batch, range(count))
            for whole in batches:
                for start in range(0, whole.num_rows, rows):
                    batch = whole.slice(start, rows)
                    yield {name: batch.column(name).to_pylist() for name in columns}


def _is_readable(name: str, kind: pyarrow.DataType) -> bool:
    """Whether a column has texts (or pictures), or lists of them where several are meant."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind):
        return name in ("images", "answers", "captions") and _is_readable(name.removesuffix("s"), kind.value_type)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)
    is_number = name in ("id", "group") and types.is_integer(kind)
    return bool(is_text or is_number or (name in IMAGE and _has_bytes(kind)))


def _has_bytes(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind):
        return _has_bytes(kind.value_type)
    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _of_cell(value: Any) -> list[Picture]:
    """The pictures in a cell: none, one, or several."""
    cells = value if isinstance(value, list) else [value]
    pairs = [(cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None) for cell in cells]
    return [(content, path) for content, path in pairs if content or path]
