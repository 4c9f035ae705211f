"""Reads JSON files and validates their records; every error names file, record and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vlrouting.data.datasets.json_text import (
    FETCH_AGAIN,
    ID_KEYS,
    Hook,
    InvalidJSON,
    JSONText,
    near_record,
    read_text,
    shown,
    text_problem,
)
from vlrouting.data.example import DataError

_END = 65_536
"""Bytes that `read_ends` reads at each end of a file."""
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
"""A character that is neither white space nor invisible."""


def read_json(path: Path, object_hook: Hook | None = None) -> Any:
    """Content of a JSON file; `object_hook` as in `json.loads`.

    Raises:
        DataError: the file cannot be read, is empty, or is not JSON; names the last record before the error.
    """
    text = read_text(path)
    try:
        return JSONText(object_hook).whole(text)
    except InvalidJSON as error:
        line = text.count("\n", 0, error.position) + 1
        raise DataError(
            f"{path}: the JSON breaks off at character {error.position} of {len(text)} (line {line}: {error.reason})"
            f"{near_record(text, error.position)}; {FETCH_AGAIN}"
        ) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Number (from 1) and value of each line of a JSON Lines file; blank lines are skipped.

    Raises:
        DataError: the file cannot be read, is empty, or a line is not JSON; names the line.
    """
    lines = JSONText()
    # Not splitlines(), which also splits at characters that JSON strings may contain.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, lines.whole(line)
        except InvalidJSON as error:
            raise DataError(
                f"{path}: line {number} is not JSON (column {error.position + 1}: {error.reason}); {FETCH_AGAIN}"
            ) from error


def read_ends(path: Path) -> tuple[str, str]:
    """The first 64 KiB of a file and the last 64 KiB of the rest; empty if the file cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_END)
            file.seek(max(len(head), file.seek(0, 2) - _END))
            return head.decode(errors="replace"), file.read().decode(errors="replace")
    except OSError:
        return "", ""


def name_record(path: Path, record: object, place: int | str) -> str:
    """The start of a message: `file: question_id 7`, or `file: record 3` if the record has no id.

    `place`: the record's number in the file, from 1; or a text to use instead of its id, such as `line 3`.
    """
    if isinstance(place, str):
        return f"{path}: {place}"
    if isinstance(record, Mapping):
        for key in ID_KEYS:
            value = record.get(key)
            if type(value) is int or (type(value) is str and value.isprintable() and value.strip()):
                return f"{path}: {key} {shown_id(value)}"
    return f"{path}: record {place}"


def shown_id(value: int | str) -> str:
    """An id in a message: on one line, and cut where it is long."""
    return f"{value:.60}" if isinstance(value, str) and value.isprintable() else shown(value)


def take(record: Any, key: str, kinds: tuple[type, ...], path: Path, place: int | str, blank: bool = False) -> Any:
    """`record[key]`, which must be of one of `kinds` exactly (so that `true` is not an integer).

    `place` as in `name_record`; a blank text is an error unless `blank` is set.

    Raises:
        DataError: the record is not an object, or the key is missing, of another type, blank, or no text.
    """
    if type(record) is not dict:
        raise DataError(f"{name_record(path, None, place)} is no JSON object but {shown(record)}; repair or remove it")
    value = record.get(key)
    if type(value) in kinds:
        if type(value) is not str:
            return value
        problem = text_problem(value)
        if problem is not None:
            raise DataError(f"{name_record(path, record, place)}: '{key}' has {problem}; repair or remove the record")
        if blank or _VISIBLE.search(value):
            return value
    named = record if key not in ID_KEYS else None  # by its number, where the id itself is wrong
    where, expected = name_record(path, named, place), " or ".join(kind.__name__ for kind in kinds)
    if key not in record:
        present = ", ".join(f"{name:.40}" for name in list(record)[:20])
        raise DataError(f"{where}: has no key '{key}' (its keys: {present}); compare with the official file format")
    raise DataError(f"{where}: '{key}' must be a non-empty {expected}, not {shown(value)}; repair or remove the record")
