"""Reads JSON files and validates their records; every error names file, record and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vlrouting.data.example import DataError

FETCH_AGAIN = "the file was cut short or damaged: fetch it again (and unpack it, if it is an archive)"
_ID_KEYS = ("question_id", "cocoid", "id")
"""Keys of a record's id, in order of preference: VQAv2, Karpathy's COCO, the official COCO."""
_LAST_ID = re.compile(rf'"({"|".join(_ID_KEYS)})"\s*:\s*"?([\w-]+)')
_END = 65_536
"""Bytes that `read_ends` reads at each end of a file."""


def read_json(path: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Content of a JSON file; `object_hook` as in `json.loads`.

    Raises:
        DataError: the file cannot be read, is empty, or is not JSON; names the last record before the error.
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
    """Number (from 1) and value of each line of a JSON Lines file; blank lines are skipped.

    Raises:
        DataError: the file cannot be read, is empty, or a line is not JSON; names the line.
    """
    # Not splitlines(), which also splits at characters that JSON strings may contain.
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
    """The error for a file that cannot be opened or decoded."""
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"{path}: not a text file in UTF-8 ({error.reason}); {FETCH_AGAIN}")
    return DataError(f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions")


def read_ends(path: Path) -> tuple[str, str]:
    """The first 64 KiB of a file and the last 64 KiB of the rest; empty if the file cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_END)
            file.seek(max(len(head), file.seek(0, 2) - _END))
            return head.decode(errors="replace"), file.read().decode(errors="replace")
    except OSError:
        return "", ""


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise cannot_be_read(path, error) from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; {FETCH_AGAIN}")
    return text


def name_record(path: Path, record: object, place: int | str) -> str:
    """The start of a message: `file: question_id 7`, or `file: record 3` if the record has no id.

    `place`: the record's number in the file, from 1; or a text to use instead of its id, such as `line 3`.
    """
    if isinstance(place, str):
        return f"{path}: {place}"
    if isinstance(record, Mapping):
        for key in _ID_KEYS:
            if record.get(key) is not None:
                return f"{path}: {key} {record[key]}"
    return f"{path}: record {place}"


def take(record: Any, key: str, kinds: tuple[type, ...], path: Path, place: int | str, blank: bool = False) -> Any:
    """`record[key]`, which must be of one of `kinds` exactly (so that `true` is not an integer).

    `place` as in `name_record`; a blank text is an error unless `blank` is set.

    Raises:
        DataError: the record is not an object, or the key is missing, of another type, or blank.
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
