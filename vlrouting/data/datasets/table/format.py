"""The dataset `jsonl`: a user's own images with questions or captions, in a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from vlrouting.config import DataConfig, Problem, SplitConfig
from vlrouting.config.names import listed
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.table.examples import read_examples, vocabulary_answer
from vlrouting.data.datasets.table.files import find_tables
from vlrouting.data.datasets.table.mistakes import Mistakes
from vlrouting.data.datasets.table.record import image_count
from vlrouting.data.datasets.table.source import TableSource
from vlrouting.data.example import DataError, Example

SPLITS = {name: SplitConfig() for name in ("train", "val", "test")}


def table_format(data: DataConfig, images: bool = True) -> DatasetFormat:
    """The tables below `data.root`, read as `data` says.

    Args:
        data: the section of the experiment.
        images: whether the pictures have to be there.
    """
    return DatasetFormat(
        partial(_read_split, data, images),
        SPLITS,
        partial(_split_files, data),
        lambda root, name, split: {},  # the table names its pictures, and the reader looks for each of them
        vocabulary_answer,
        partial(_images_per_example, data),
        partial(_problems, data),
        indexed=True,
        settings=_settings(data, images),
    )


def _settings(data: DataConfig, images: bool) -> list[object]:
    """What the examples of a split depend on, beside its files."""
    chosen, shares = [data.train, data.validation, data.test], data.split_shares
    return [data.target, chosen, list(data.splits), data.split_seed, [shares.train, shares.val, shares.test], images]


def _read_split(data: DataConfig, images: bool, root: Path, name: str, split: SplitConfig) -> Iterator[Example]:
    _split_files(data, name, split)
    try:
        source = TableSource.of(data, find_tables(data), {**SPLITS, **data.splits}, images)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); check the path") from error
    return read_examples(source, name)


def _split_files(data: DataConfig, name: str, split: SplitConfig) -> dict[str, str]:
    """See `DatasetFormat`."""
    root = Path(data.root)
    if not root.is_dir():
        return {}  # which is a problem of its own
    key, message = f"data.splits.{name}", "has no meaning for a table"
    if split.annotations:
        raise DataError.about(f"{key}.annotations", message, "name the table under questions")
    if split.images != SplitConfig().images:
        raise DataError.about(f"{key}.images", message, "take it out: the table has the paths")
    tables = find_tables(data)
    if tables.of_split is None:
        named = (f"data.splits.{other}.questions" for other, files in data.splits.items() if files.questions)
        return dict.fromkeys((_below(root, path) for path in tables.whole), next(named, "data.root"))
    if name not in tables.of_split:
        role = next((key for key in ("train", "validation", "test") if getattr(data, key) == name), "splits")
        found = listed(_below(root, path) for path, _ in tables.files)
        remedy = f"add {name}{tables.files[0][0].suffix}" + (", or set null" if role == "validation" else "")
        raise DataError.about(
            f"data.{role}", f"there is no table for the split '{name}' in {root}, but {found}", remedy
        )
    key = f"data.splits.{name}.questions" if split.questions else "data.root"
    return {_below(root, path): key for path in tables.of_split[name]}


def _below(root: Path, path: Path) -> str:
    return os.path.relpath(path, root) if path.is_relative_to(root) else str(path)


def _problems(data: DataConfig, splits: Sequence[str]) -> list[Problem]:
    """What the first lines of the tables show: a wrong delimiter, encoding or column."""
    try:
        source = TableSource.of(data, find_tables(data), SPLITS, images=False)
    except (OSError, DataError):  # which `_split_files` and its caller name
        return []
    mistakes = Mistakes()
    for path, split in source.files:
        if split is None or split in splits:
            rows = source.rows(path)
            complain = mistakes.of(path, rows.unit)
            columns = rows.columns(complain)
            if columns is not None:
                source.check_columns(columns, rows, split, complain)
    return [Problem((), found, remedy, depends_on=("data.root", "data.name")) for found, remedy in mistakes.listed()]


def _images_per_example(data: DataConfig) -> int:
    """Of the first row; 1 where it cannot be read."""
    try:
        source = TableSource.of(data, find_tables(data), SPLITS, images=False)
    except (OSError, DataError):
        return 1
    rows = source.rows(source.files[0][0])
    nothing = Mistakes().of(rows.path)
    if rows.columns(nothing) is None:
        return 1
    return next((image_count(record, rows.typed) for _, record in rows.records(nothing)), 1)
