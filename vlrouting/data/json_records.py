"""Reading a JSON file and its records so that whatever is wrong is said with file, record and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vlrouting.data.example import DataError

_FETCH_AGAIN = "the file was cut short or damaged: fetch it again (and unpack it, if it is an archive)"
_LAST_ID = re.compile(r'"question_id"\s*:\s*"?(\w+)')
_NAMED = 5


def read_json(path: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Content of a JSON file; `object_hook` as in `json.loads`.

    Raises:
        DataError: the file cannot be read, is empty, or is not JSON; names the last question_id before the break.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8 (byte {error.start}); {_FETCH_AGAIN}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: cannot be read ({reason}); check the path and its permissions") from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; {_FETCH_AGAIN}")
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        ids = _LAST_ID.findall(text, max(0, error.pos - 20_000), error.pos + 1)
        record = f", in or after the record with question_id {ids[-1]}" if ids else ""
        raise DataError(
            f"{path}: the JSON breaks off at character {error.pos} of {len(text)} (line {error.lineno}, column "
            f"{error.colno}: {error.msg}){record}; {_FETCH_AGAIN}"
        ) from error


def name_record(path: Path, record: object, number: int) -> str:
    """`file: question_id 7`, or the record's number (from 1) where it has no id: the start of every message."""
    identity = record.get("question_id") if isinstance(record, Mapping) else None
    return f"{path}: question_id {identity}" if identity is not None else f"{path}: record {number}"


def take(record: Any, key: str, kinds: tuple[type, ...], path: Path, number: int, blank: bool = False) -> Any:
    """`record[key]`, which must be of one of `kinds` exactly (so that `true` is no integer) and, without `blank`, no
    blank text. `number` counts the records of the file from 1.

    Raises:
        DataError: the record is no object, or the key is missing, of another type, or blank.
    """
    if type(record) is not dict:
        raise DataError(f"{path}: record {number} is no JSON object but {record!r:.60}; repair or remove it")
    value = record.get(key)
    if type(value) in kinds and (blank or type(value) is not str or value.strip()):
        return value
    where, expected = name_record(path, record, number), " or ".join(kind.__name__ for kind in kinds)
    if key not in record:
        present = ", ".join(map(str, record))
        raise DataError(f"{where}: has no key '{key}' (its keys: {present}); compare with the official file format")
    raise DataError(f"{where}: '{key}' must be a non-empty {expected}, not {value!r:.60}; repair or remove the record")


def some(ids: Iterable[object]) -> str:
    """The first few of many ids, and how many more there are."""
    listed = list(ids)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(map(str, listed[:_NAMED])) + more
