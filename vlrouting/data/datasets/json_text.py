"""From the bytes of a JSON file to values, with one error for everything that is not JSON."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlrouting.data.example import DataError

FETCH_AGAIN = "the file was cut short or damaged: fetch it again (and unpack it, if it is an archive)"
ID_KEYS = ("question_id", "cocoid", "id", "identifier")
"""Keys of a record's id, in order of preference: VQAv2, Karpathy's COCO, the official COCO, NLVR2."""
_LAST_ID = re.compile(rf'"({"|".join(ID_KEYS)})"\s*:\s*"?([\w-]+)')
_NEAR = 20_000
"""Characters before an error in which the id of its record is looked for."""
_DEEPEST = 100
"""Levels of lists and objects at which the error for a file that nests too deeply points."""
_BRACKET_OR_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80
_short.maxlevel = 3

Hook = Callable[[dict[str, Any]], Any]
"""Called for every JSON object; its result takes the object's place."""


class Unusable:
    """Stands for a value that JSON does not allow, until `take` refuses it with its record. Its repr says what."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __repr__(self) -> str:
        return self._what


class InvalidJSON(ValueError):
    """A text that is not JSON.

    Attributes:
        reason: what is wrong.
        position: index of the character where it was found.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason, self.position = reason, position


class JSONText:
    """Decodes JSON. A number that is not finite, a number of thousands of digits, and an object with a key twice become
    `Unusable`: only where such a value would be used is it an error, which then names the record."""

    def __init__(self, object_hook: Hook | None = None) -> None:
        def from_pairs(pairs: list[tuple[str, Any]]) -> Any:
            found = dict(pairs)
            if len(found) != len(pairs):
                keys = [key for key, _ in pairs]
                twice = next(key for key in keys if keys.count(key) > 1)
                return Unusable(f"an object with the key {twice!r:.40} twice")
            return found if object_hook is None else object_hook(found)

        def decoder(**options: Any) -> json.JSONDecoder:
            return json.JSONDecoder(object_pairs_hook=from_pairs, parse_constant=Unusable, **options)

        self._decoder = decoder()
        self._of_long_numbers = decoder(parse_int=_integer)  # slower

    def value(self, text: str, position: int = 0) -> tuple[Any, int]:
        """The value that begins at `position`, and where it ends.

        Raises:
            InvalidJSON: there is none.
        """
        try:
            try:
                return self._decoder.raw_decode(text, position)
            except json.JSONDecodeError:
                raise
            except ValueError:  # Python refuses to convert thousands of digits
                return self._of_long_numbers.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise InvalidJSON(error.msg, error.pos) from None
        except RecursionError:
            raise InvalidJSON("lists and objects are nested too deeply", _too_deep(text, position)) from None

    def whole(self, text: str) -> Any:
        """The one value that is the text.

        Raises:
            InvalidJSON: it is not JSON.
        """
        value, end = self.value(text, len(text) - len(text.lstrip()))
        if text[end:].strip():
            raise InvalidJSON("there is something behind the end of the JSON", end)
        return value


def _integer(digits: str) -> Any:
    try:
        return int(digits)
    except ValueError:
        return Unusable(f"a number of {len(digits):,} digits")


def _too_deep(text: str, position: int) -> int:
    depth = 0
    for found in _BRACKET_OR_STRING.finditer(text, position):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth >= _DEEPEST:
            return found.start()
    return position


def near_record(text: str, position: int) -> str:
    """`, in or after the record with question_id 7`, for the last id before a position; empty without one."""
    ids = _LAST_ID.findall(text, max(0, position - _NEAR), position + 1)
    return f", in or after the record with {' '.join(ids[-1])}" if ids else ""


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: the file cannot be read, is empty, or is in another encoding; names the last record before that.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise cannot_be_read(path, error) from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; {FETCH_AGAIN}")
    if "\0" in text[:4]:
        raise DataError(f"{path}: is no text, or in another encoding than UTF-8; save it in UTF-8, or {FETCH_AGAIN}")
    return text


def cannot_be_read(path: Path, error: UnicodeDecodeError | OSError) -> DataError:
    """The error for a file that cannot be opened or decoded."""
    if isinstance(error, OSError):
        return DataError(f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions")
    encoding = _OTHER_ENCODINGS.get(error.object[:2]) if error.start < 2 else None
    if encoding is not None:
        return DataError(f"{path}: is in {encoding}; save it in UTF-8")
    before = error.object[: error.start].decode("utf-8", errors="replace")
    near = f"line {before.count(chr(10)) + 1}{near_record(before, len(before))}"
    return DataError(f"{path}: not a text file in UTF-8 ({error.reason}, {near}); {FETCH_AGAIN}")


def shown(value: object) -> str:
    """Any JSON value in a message: short, on one line."""
    return _short.repr(value)


def text_problem(text: str) -> str | None:
    """What makes a string unusable; None for nothing."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"half of a surrogate pair (\\u{ord(text[error.start]):04x}), which is no character"
    return None


def usable_text(value: object) -> Any:
    """The value, or `Unusable` for a string that is no text. For hooks, whose strings `take` does not see."""
    problem = text_problem(value) if isinstance(value, str) else None
    return value if problem is None else Unusable(f"a text with {problem}")
