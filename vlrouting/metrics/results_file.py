"""Writes the files for evaluation servers: atomically, and with exactly the questions of the split."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from vlrouting.config.names import listed

Id = TypeVar("Id", int, str)


def named(ids: Iterable[object]) -> str:
    """The number of ids, and the first of them: `7 (1, 2, 3, 4, 5 and 2 more)`."""
    every = list(ids)
    return f"{len(every)} ({listed(every)})"


def write_results_file(
    path: str | Path,
    predictions: Mapping[Id, str],
    expected_ids: Iterable[Id],
    encode: Callable[[list[tuple[Id, str]]], str],
) -> None:
    """Write predictions, sorted by id. Creates the folder if necessary.

    Args:
        path: the file; an existing one is replaced.
        predictions: id -> answer.
        expected_ids: the ids of the questions file. The servers reject any other set of ids.
        encode: sorted pairs of id and answer -> text of the file.

    Raises:
        ValueError: predictions are missing or unexpected; names the first five ids. Nothing is written.
    """
    expected = set(expected_ids)
    wrong = {"missing": expected - predictions.keys(), "unexpected": predictions.keys() - expected}
    problems = [named(sorted(ids)).replace(" (", f" {what} (", 1) for what, ids in wrong.items() if ids]
    if problems:
        raise ValueError(f"{path}: predictions do not fit the questions: {'; '.join(problems)}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(encode([(number, predictions[number]) for number in sorted(expected)]), encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
