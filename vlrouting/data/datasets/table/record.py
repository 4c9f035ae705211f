"""One row of a table, validated: every mistake in it is named, and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from vlrouting.config.names import did_you_mean
from vlrouting.data.datasets.captions import clean_caption
from vlrouting.data.datasets.json_text import shown
from vlrouting.data.datasets.table.columns import ANSWER, CAPTION, COLUMNS, IMAGE, OPTIONAL, SEPARATOR, near_misses
from vlrouting.data.datasets.table.files import ALIASES
from vlrouting.data.datasets.table.images import ImageFiles, WrongName
from vlrouting.data.datasets.table.mistakes import Complain
from vlrouting.data.datasets.table.rows import Record

MOST_IMAGES = 2
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs."""
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


class Row(NamedTuple):
    """A valid row."""

    id: str
    """Empty where the table has no ids."""
    images: tuple[str, ...]
    """Paths below the data root."""
    text: str
    """The question; empty for captions."""
    answers: tuple[str, ...]
    """Answers, or captions."""
    split: str
    """Empty where the row does not say."""
    group: str


def image_count(record: Record, typed: bool) -> int:
    """How many images a record names, whether or not it is valid."""
    several = record.get("images")
    if _is_absent(several):
        return 1
    return len(several if isinstance(several, list) else [several] if typed else str(several).split(SEPARATOR))


def _as_text(name: str, value: object) -> str:
    """What to do with a value that is no text."""
    if isinstance(value, list):
        several = name in ("image", "answer", "caption")
        return f"use the column '{name}s'" if several else f"write a row for each {name}"
    return "write the text alone" if isinstance(value, dict) else 'write it as text, in quotes: "3"'


class RowReader:
    """Validates the rows of one file."""

    def __init__(
        self,
        columns: Iterable[str],
        *,
        target: str,
        typed: bool,
        images: ImageFiles,
        splits: Iterable[str],
        images_per_row: int | None,
        complain: Complain,
    ) -> None:
        """
        Args:
            columns: of the file; of JSON Lines the keys of the first record.
            target: `answer` or `caption`.
            typed: whether values have types.
            images: the pictures.
            splits: names that the column `split` may have.
            images_per_row: of the rows of other files; None where this is the first.
            complain: takes the mistakes.
        """
        self.columns, self.target, self.typed = frozenset(columns), target, typed
        self.images, self.images_per_row, self.complain = images, images_per_row, complain
        self.splits = {**ALIASES, **{name: name for name in splits}}
        self._harmless = set(COLUMNS)
        self._valid = True

    def read(self, number: int, record: Record) -> Row | None:
        """The row; None where something is wrong with it.

        Args:
            number: of its line.
            record: its values.
        """
        self._valid = True
        misspelt = self._misspelt(number, record) if self.typed else frozenset()
        images = self._images(number, record, misspelt)
        if self.target == "caption":
            text, answers = "", self._captions(number, record, misspelt)
        else:
            text = self._required(number, record, "question", misspelt)
            answers = self._several(number, record, ANSWER) or ()
        identity = self._required if "id" in self.columns else self._unexpected
        row = Row(
            identity(number, record, "id", misspelt),
            images,
            text,
            answers,
            self._split(number, record, misspelt),
            self._text(number, record, "group") or "",
        )
        return row if self._valid else None

    def _wrong(self, number: int, what: str, remedy: str, value: str = "") -> None:
        self._valid = False
        self.complain(number, what, remedy, value)

    def _misspelt(self, number: int, record: Record) -> frozenset[str]:
        """Known names that a key of the record seems to stand for."""
        unknown = record.keys() - self._harmless
        if not unknown:
            return frozenset()
        near = near_misses(record)
        self._harmless |= unknown - near.keys()
        for name, known in near.items():
            self._wrong(
                number, f"the key '{name}' looks like '{known}'", f"rename it to '{known}', or to something else"
            )
        return frozenset(near.values())

    def _images(self, number: int, record: Record, misspelt: frozenset[str]) -> tuple[str, ...]:
        names = self._several(number, record, IMAGE)
        if not names:
            if names is not None and not misspelt & set(IMAGE):
                self._wrong(number, "the image is empty", "give the picture's path, or remove the row")
            return ()
        if len(names) > MOST_IMAGES:
            self._wrong(number, f"there are more than {MOST_IMAGES} images", "give one or two", str(len(names)))
        elif len(names) != (self.images_per_row or len(names)):
            what = f"the number of images is not that of the first row, {self.images_per_row}"
            self._wrong(number, what, "give every row equally many", str(len(names)))
        else:
            self.images_per_row = len(names)
        found = []
        for name in names:
            path = self.images.find(name)
            if isinstance(path, WrongName):
                self._wrong(number, *path)
            else:
                found.append(path)
        return tuple(found)

    def _captions(self, number: int, record: Record, misspelt: frozenset[str]) -> tuple[str, ...]:
        captions = self._several(number, record, CAPTION)
        if captions == () and not misspelt & set(CAPTION):
            self._wrong(number, "the caption is empty", "write it, or remove the row")
        return tuple(map(clean_caption, captions or ()))

    def _split(self, number: int, record: Record, misspelt: frozenset[str]) -> str:
        if "split" not in self.columns:
            return self._unexpected(number, record, "split", misspelt)
        given = self._required(number, record, "split", misspelt)
        if not given:
            return ""
        split = self.splits.get(given) or self.splits.get(given.lower())
        if split is None:
            known = list(dict.fromkeys(self.splits.values()))
            value = f"'{given}'.{did_you_mean(given, known)}".removesuffix(".")
            remedy = f"write one of {', '.join(known)}, or describe it in data.splits"
            self._wrong(number, "the split is not known", remedy, value)
        return split or ""

    def _unexpected(self, number: int, record: Record, name: str, misspelt: frozenset[str]) -> str:
        """Nothing, where a record has a value that the first one does not have."""
        if not _is_absent(record.get(name)):
            what = f"there is a value for '{name}', unlike in the first row"
            self._wrong(number, what, "give it in every row, or in none")
        return ""

    def _required(self, number: int, record: Record, name: str, misspelt: frozenset[str]) -> str:
        text = self._text(number, record, name)
        if text == "" and name not in misspelt:
            remedy = (
                "fill it in in every row, or remove the column" if name in OPTIONAL else "write it, or remove the row"
            )
            self._wrong(number, f"the {name} is empty", remedy)
        return text or ""

    def _text(self, number: int, record: Record, name: str) -> str | None:
        """The text in a column; empty where there is none; None for a mistake."""
        value = record.get(name)
        if value is None:
            return ""
        if type(value) is int and name in ("id", "group"):
            return str(value)
        return self._checked(number, name, value)

    def _checked(self, number: int, name: str, value: object) -> str | None:
        """A value that has to be text, without space around it; None for a mistake."""
        if type(value) is not str:
            kind = _KINDS.get(type(value))
            what = f"the {name} is no text" if kind is None else f"the {name} is {kind}, not text"
            self._wrong(number, what, _as_text(name, value), shown(value))
            return None
        if not value.isprintable() and (found := _NO_TEXT.search(value)) is not None:
            kind = "half of a surrogate pair" if found[0] >= "\ud800" else "a control character"
            position = f"U+{ord(found[0]):04X} at position {found.start() + 1}"
            self._wrong(number, f"the {name} has {kind}", "remove it, or make the table again", position)
            return None
        return value.strip()

    def _several(self, number: int, record: Record, names: Sequence[str]) -> tuple[str, ...] | None:
        """The texts in the column for one or in that for several; none where there are none; None for a mistake."""
        one, several = names
        listed: Any = record.get(several)
        if _is_absent(listed):
            text = self._text(number, record, one)
            return None if text is None else (text,) if text else ()
        if not _is_absent(record.get(one)):
            self._wrong(number, f"both '{one}' and '{several}' are filled in", "leave one of them empty")
            return None
        if not self.typed:
            listed = str(listed).split(SEPARATOR)
        if type(listed) is not list:
            kind = _KINDS.get(type(listed), "text")
            self._wrong(number, f"'{several}' is {kind}, not a list", 'write ["one", "two"]', shown(listed))
            return None
        texts = [self._checked(number, one, value) for value in listed]
        if "" in texts:
            self._wrong(number, f"one of the {several} is empty", "write it, or remove it from the list")
        return None if None in texts else tuple(map(str, texts))


def _is_absent(value: object) -> bool:
    return value is None or value == [] or (type(value) is str and not value.strip())
