"""A user's table, read as an experiment would read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import DataConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.registry import format_of
from vlrouting.data.datasets.table.columns import CAPTION, QUESTION
from vlrouting.data.datasets.table.files import ALIASES, find_tables
from vlrouting.data.datasets.table.mistakes import Mistakes
from vlrouting.data.datasets.table.rows import Rows, open_rows
from vlrouting.data.example import DataError
from vlrouting.starter.findings import Findings, look_at
from vlrouting.starter.plan import CAPTIONING

TRAIN, VALIDATION, TEST = "train", "val", "test"
_SPLIT = "split"


@dataclass(frozen=True)
class Table:
    """What was read, and which splits an experiment has to name."""

    root: Path
    files: tuple[Path, ...]
    made_splits: bool
    """Whether the table names no splits, so that the reader makes them."""
    validation: str | None
    test: str
    captions: bool
    """Whether it was read for its captions."""
    also: str
    """What it has besides, which another task needs: `captions` or `questions`; else empty."""
    example: tuple[tuple[Path, ...], str]
    """Images and question of the first test row."""
    findings: Findings


def why_no_table(root: Path) -> str | None:
    """Why a folder's table is not found; None where it is."""
    try:
        find_tables(_config(root))
    except DataError as error:
        return error.problem.message + error.problem.advice if error.problem is not None else str(error)
    return None


def read_table(root: Path, task: str | None) -> Table:
    """Read all rows of a folder's table.

    Args:
        root: of the folder.
        task: that the user wants. Default: questions, if there are any.

    Raises:
        DataError: it has mistakes; a line for each kind.
    """
    tables = find_tables(_config(root))
    files = tuple(path for path, _ in tables.files)
    opened = [open_rows(path, root) for path in files]
    columns = {name for rows in opened for name in rows.columns(Mistakes().of(rows.path)) or ()}
    asks, describes = bool(columns & set(QUESTION)), bool(columns & set(CAPTION))
    captions = describes and not asks if task is None else task == CAPTIONING
    given = set(tables.of_split) if tables.of_split is not None else _given_splits(opened, columns)
    validation = VALIDATION if not given or {VALIDATION, TEST} <= given else None
    test = TEST if not given or TEST in given else VALIDATION if VALIDATION in given else TEST
    data = _config(root, "caption" if captions else "answer", validation, test)
    examples = read_splits(data)
    first = examples[test][0]
    return Table(
        root=root,
        files=files,
        made_splits=not given,
        validation=validation,
        test=test,
        captions=captions,
        also="questions" if captions and asks else "captions" if describes and not captions else "",
        example=(first.images, first.text),
        findings=look_at(examples, format_of(data).normalize_answer, captions),
    )


def _config(root: Path, target: str | None = None, validation: str | None = VALIDATION, test: str = TEST) -> DataConfig:
    return DataConfig(name="jsonl", root=str(root), target=target, train=TRAIN, validation=validation, test=test)


def _given_splits(tables: list[Rows], columns: set[str]) -> set[str]:
    """The splits that the rows name."""
    if _SPLIT not in columns:
        return set()
    values = {
        str(record.get(_SPLIT, "")).strip().lower()
        for rows in tables
        for _, record in rows.records(Mistakes().of(rows.path))
    }
    return {ALIASES[value] for value in values if value in ALIASES}
