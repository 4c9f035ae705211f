"""What is wrong with a user's tables, collected while they are read: one line for each kind of mistake in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vlrouting.data.example import DataError

MOST_LISTED = 30
"""Kinds of mistakes that an error shows."""
_LINES_SHOWN = 3

Complain = Callable[..., None]
"""`complain(line, what, remedy, value="")`: a mistake in a line, or in the whole file where the line is None. `what`
and `remedy` are the same for all mistakes of a kind; `value` is what this one is about."""


@dataclass
class _Kind:
    lines: list[int] = field(default_factory=list)
    count: int = 0
    value: str = ""


@dataclass
class Mistakes:
    """Mistakes by file and kind, in the order in which they are found."""

    _kinds: dict[tuple[Path, str, str, str], _Kind] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def of(self, path: Path, unit: str = "line") -> Complain:
        """Adds mistakes in one file, whose records are called `line` or `row`."""

        def complain(line: int | None, what: str, remedy: str, value: str = "") -> None:
            kind = self._kinds.setdefault((path, unit, what, remedy), _Kind(value=value))
            kind.count += 1
            if line is not None and len(kind.lines) < _LINES_SHOWN:
                kind.lines.append(line)

        return complain

    def listed(self, most: int = MOST_LISTED) -> Iterator[tuple[str, str]]:
        """`data.csv: lines 3, 7, 9 and 12 more: the image is missing (the first: 'a.jpg')`, and the remedy."""
        ordered = sorted(self._kinds.items(), key=lambda item: (str(item[0][0]), (item[1].lines or [0])[0]))
        for (path, unit, what, remedy), kind in ordered[:most]:
            yield f"{path}: {_place(kind, unit)}{what}{_example(kind)}", remedy
        if len(ordered) > most:
            yield f"and {len(ordered) - most} more kinds of mistakes", "correct these first"

    def raise_any(self) -> None:
        """
        Raises:
            DataError: there are mistakes; a line for each kind.
        """
        if self:
            raise DataError("\n".join(f"{found}; {remedy}" for found, remedy in self.listed()))


def _place(kind: _Kind, unit: str) -> str:
    if not kind.lines:
        return ""
    more = kind.count - len(kind.lines)
    if kind.count == 1:
        return f"{unit} {kind.lines[0]}: "
    shown = [str(line) for line in kind.lines]
    listing = f"{', '.join(shown)} and {more:,} more" if more else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"{unit}s {listing}: "


def _example(kind: _Kind) -> str:
    if not kind.value:
        return ""
    return f" (the first: {kind.value})" if kind.count > 1 else f" ({kind.value})"
