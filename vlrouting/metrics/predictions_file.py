"""Reads a predictions.jsonl, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class PredictionsError(ValueError):
    """An invalid predictions file. The message names file, line and remedy; users need no traceback."""


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record that is not blank, and where it is: `…/predictions.jsonl: line 3`.

    A record has `id`, `prediction` and `references` of the right types, and an id of its own. Other keys are anything.

    Raises:
        PredictionsError: the file cannot be read or is empty, a line is invalid, or an id is duplicate.
    """
    line_of: dict[int | str, int] = {}
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        record = _parse(line, where)
        yield where, record
        identity = record["id"]
        if identity in line_of:
            raise PredictionsError(
                f"{where}: id {identity!r} occurs in line {line_of[identity]} already; remove one of them"
            )
        line_of[identity] = number
    if not line_of:
        raise PredictionsError(f"{path}: the file is empty; make it again with `vlrouting evaluate`")


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise PredictionsError(
            f"{path}: cannot be read ({reason}); name a runs/<experiment>/<point>/predictions.jsonl"
        ) from error
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise PredictionsError(f"{path}: line {number}: no text in UTF-8; save the file as UTF-8") from error


def _parse(line: str, where: str) -> dict[str, Any]:
    """The record in a line, with the three keys validated."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise PredictionsError(
            f"{where}: invalid JSON ({error.msg} at column {error.colno}); repair or remove the line"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too deep a nesting
        raise PredictionsError(f"{where}: invalid JSON ({error}); remove the line") from error
    if type(record) is not dict:
        raise PredictionsError(f"{where}: no JSON object but {record!r:.60}; repair or remove the line")
    for key, (kinds, expected) in _FIELDS.items():
        if key not in record:
            present = ", ".join(map(str, record))
            raise PredictionsError(f"{where}: has no '{key}' (its keys: {present}); add it, or remove the line")
        value = record[key]
        if type(value) not in kinds or (key == "references" and any(type(text) is not str for text in value)):
            raise PredictionsError(f"{where}: '{key}' must be {expected}, not {value!r:.60}; repair the line")
    return record


_FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "id": ((int, str), "an integer or a string"),
    "prediction": ((str,), "a string"),
    "references": ((list,), "a list of strings"),
}
"""Key -> its types in JSON, and these in words."""
