"""Reads a large JSON object entry by entry: parsed at once, it would take many times its size in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import TextIOBase
from pathlib import Path
from typing import Any

from vlrouting.data.datasets.json_text import FETCH_AGAIN, InvalidJSON, JSONText, cannot_be_read, text_problem
from vlrouting.data.example import DataError

BLOCK = 1 << 22
"""Characters per read."""
LONGEST = 4 * BLOCK
"""Longest entry in characters; a longer one is treated as an error."""
_OPEN = re.compile(r"\s*\{\s*(\}\s*)?")
_KEY = re.compile(r'\s*"([^"\\\x00-\x1f]*)"\s*:\s*')
_NEXT = re.compile(r"\s*([,}])")
_JSON = JSONText()


def stream_entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Key and value of each entry of the JSON object in a file; duplicate keys are yielded as often as they occur.

    Raises:
        DataError: the file cannot be read, is not a JSON object, or is corrupt; names the entry before the error.
    """
    try:
        # Bytes that are not UTF-8 become surrogates, so that the error can name the record that has them.
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            yield from _entries(file, path)
    except OSError as error:
        raise cannot_be_read(path, error) from error


def _entries(file: TextIOBase, path: Path) -> Iterator[tuple[str, Any]]:
    text, before = file.read(BLOCK), 0  # `before`: number of characters that are no longer in `text`
    if not text.strip():
        raise DataError(f"{path}: the file is empty; {FETCH_AGAIN}")
    if text_problem(text[:2]) or "\0" in text[:4]:
        raise DataError(f"{path}: is no text, or in another encoding than UTF-8; save it in UTF-8, or {FETCH_AGAIN}")
    opening = _OPEN.match(text)
    if opening is None:
        raise DataError(f"{path}: holds no JSON object of records by id; compare with the official file format")
    position, last, key, decoded = opening.end(), opening[1] is not None, "", text_problem(text) is None
    while not last:
        try:
            found, value, end, last = _entry(text, position)
        except InvalidJSON as error:
            block = file.read(BLOCK) if len(text) - position < LONGEST else ""
            if not block:
                raise DataError(
                    f"{path}: the JSON breaks off at character {before + error.position} ({error.reason})"
                    f"{_after(key)}; {FETCH_AGAIN}"
                ) from error
            text, before, position = text[position:] + block, before + position, 0
            decoded = decoded and text_problem(block) is None
            continue
        if not decoded and text_problem(text[position:end]):
            raise DataError(f"{path}: the record {found!a:.60} has bytes that are not UTF-8; {FETCH_AGAIN}")
        key, position = found, end
        yield key, value
    if (text[position:] + file.read(BLOCK)).strip():
        raise DataError(f"{path}: there is something behind the end of the JSON object; {FETCH_AGAIN}")


def _after(key: str) -> str:
    return f", after the record '{key:.60}'" if key else ""


def _entry(text: str, position: int) -> tuple[str, Any, int, bool]:
    """Key, value, position of the next entry, and whether this was the last one.

    Raises:
        InvalidJSON: the text is invalid, or the entry is incomplete.
    """
    key = _KEY.match(text, position)
    if key is None:
        raise InvalidJSON("expected a key", position)
    value, end = _JSON.value(text, key.end())
    after = _NEXT.match(text, end)
    if after is None:
        raise InvalidJSON("expected , or }", end)
    return key[1], value, after.end(), after[1] == "}"
