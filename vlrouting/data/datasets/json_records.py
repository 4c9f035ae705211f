"""Reading a JSON file and its records so that whatever is wrong is said with file, record and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vlrouting.data.example import DataError

FETCH_AGAIN = "the file was cut short or damaged: fetch it again (and unpack it, if it is an archive)"
_ID_KEYS = ("question_id", "cocoid", "id")
"""By which a record is named, the first that it has: of VQAv2, Karpathy's COCO, the official COCO."""
_LAST_ID = re.compile(rf'"({"|".join(_ID_KEYS)})"\s*:\s*"?([\w-]+)')


def read_json(path: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Content of a JSON file; `object_hook` as in `json.loads`.

    Raises:
        DataError: the file cannot be read, is empty, or is not JSON; names the last record's id before the break.
    """
    text = _text(path)
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        ids = _LAST_ID.findall(text, max(0, error.pos - 20_000), error.pos + 1)
        record = f", in or after the record with {' '.join(ids[-1])}" if ids else ""
        raise DataError(
            f"{path}: the JSON breaks off at character {error.pos} of {len(text)} (line {error.lineno}, column "
            f"{error.colno}: {error.msg}){record}; {FETCH_AGAIN}"
        ) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Number (from 1) and value of each line of a JSON Lines file; blank lines are passed over.

    Raises:
        DataError: the file cannot be read, is empty, or a line is not JSON; names the line.
    """
    # Not splitlines(), which also breaks at characters that JSON has inside its strings.
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}: line {number} is not JSON (column {error.colno}: {error.msg}); {FETCH_AGAIN}"
            ) from error


def cannot_be_read(path: Path, error: UnicodeDecodeError | OSError) -> DataError:
    """What to say of a file that gives no text."""
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"{path}: not a text file in UTF-8 ({error.reason}); {FETCH_AGAIN}")
    return DataError(f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions")


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise cannot_be_read(path, error) from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; {FETCH_AGAIN}")
    return text


def name_record(path: Path, record: object, place: int | str) -> str:
    """The start of every message: `file: question_id 7`, or where the record has no id, `file: record 3`.

    `place`: the record's number in the file, from 1; or a name that fits better than its id, such as `line 3`.
    """
    if isinstance(place, str):
        return f"{path}: {place}"
    if isinstance(record, Mapping):
        for key in _ID_KEYS:
            if record.get(key) is not None:
                return f"{path}: {key} {record[key]}"
    return f"{path}: record {place}"


def take(record: Any, key: str, kinds: tuple[type, ...], path: Path, place: int | str, blank: bool = False) -> Any:
    """`record[key]`, which must be of one of `kinds` exactly (so that `true` is no integer) and, without `blank`, no
    blank text. `place` as in `name_record`.

    Raises:
        DataError: the record is no object, or the key is missing, of another type, or blank.
    """
    if type(record) is not dict:
        raise DataError(f"{name_record(path, None, place)} is no JSON object but {record!r:.60}; repair or remove it")
    value = record.get(key)
    if type(value) in kinds and (blank or type(value) is not str or value.strip()):
        return value
    where, expected = name_record(path, record, place), " or ".join(kind.__name__ for kind in kinds)
    if key not in record:
        present = ", ".join(map(str, record))
        raise DataError(f"{where}: has no key '{key}' (its keys: {present}); compare with the official file format")
    raise DataError(f"{where}: '{key}' must be a non-empty {expected}, not {value!r:.60}; repair or remove the record")
