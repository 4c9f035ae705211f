"""Reads a predictions.jsonl, line by line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class PredictionsError(ValueError):
    """An invalid predictions file. The message names file, line and remedy; users need no traceback."""


@dataclass(frozen=True)
class FieldType:
    """What a field of a record may hold. Files have hundreds of thousands of records, so the test is a quick one."""

    fits: Callable[[Any], bool]
    words: str
    """`a string`, after "must be"."""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


TEXT = FieldType(lambda value: type(value) is str, "a string")
TEXT_OR_NULL = FieldType(lambda value: value is None or type(value) is str, "a string or null")
TEXTS = FieldType(lambda value: type(value) is list and all(type(text) is str for text in value), "a list of strings")
TRUTH = FieldType(lambda value: type(value) is bool, "true or false")
COUNT = FieldType(lambda value: type(value) is int and value >= 0, "a whole number")
NUMBER = FieldType(_is_number, "a finite number")
NUMBERS = FieldType(
    lambda value: (
        type(value) is dict
        and all(_is_number(one) or (type(one) is list and all(map(_is_number, one))) for one in value.values())
    ),
    "an object of finite numbers or lists of them",
)
_REQUIRED = {
    "id": FieldType(lambda value: type(value) in (int, str), "an integer or a string"),
    "prediction": TEXT,
    "references": TEXTS,
}


def read_records(
    path: Path, optional: Callable[[Mapping[str, Any]], Mapping[str, FieldType]] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record that is not blank, and where it is: `…/predictions.jsonl: line 3`.

    A record has `id`, `prediction` and `references` of the right types, and an id of its own; of several datasets each
    has ids of its own, and the record says which is its `dataset`.

    Args:
        path: the file.
        optional: types of fields that a record may have; others hold anything.

    Raises:
        PredictionsError: the file cannot be read or is empty, a line is invalid, or an id is duplicate.
    """
    line_of: dict[tuple[str, int | str], int] = {}
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        record = _parse(line, where)
        _require(record, "dataset", TEXT, where)
        for key, kind in (optional(record) if optional is not None else {}).items():
            _require(record, key, kind, where)
        yield where, record
        identity = record.get("dataset", ""), record["id"]
        if identity in line_of:
            raise PredictionsError(
                f"{where}: id {identity[1]!r} occurs in line {line_of[identity]} already; remove one of them"
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
    for key, kind in _REQUIRED.items():
        if key not in record:
            present = ", ".join(map(str, record))
            raise PredictionsError(f"{where}: has no '{key}' (its keys: {present}); add it, or remove the line")
        _require(record, key, kind, where)
    return record


def _require(record: dict[str, Any], key: str, kind: FieldType, where: str) -> None:
    if key in record and not kind.fits(record[key]):
        raise PredictionsError(f"{where}: '{key}' must be {kind.words}, not {record[key]!r:.60}; repair the line")
