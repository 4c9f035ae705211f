"""Names in messages: the nearest known one to a misspelt one, and long lists of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

NAME_RULE = "use letters, digits and _ - + = , ."
"""What the name of a folder may be made of, so that it is safe in a shell, a batch script and on any file system."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=,-]*")
LISTED = 5
"""Names of a long list that a message shows."""


def is_safe_name(name: str) -> bool:
    """Whether a name follows `NAME_RULE` and begins with a letter, a digit or _."""
    return _NAME.fullmatch(name) is not None


def nearest_names(word: str, known: Iterable[str], count: int = 1, cutoff: float = 0.6) -> list[str]:
    """At most `count` known words that `word` may stand for, whatever its case, the nearest first."""
    spelled = {name.lower(): name for name in known}
    return [spelled[near] for near in difflib.get_close_matches(word.lower(), list(spelled), count, cutoff)]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'mul'?` with a leading blank, or nothing when no known word is near."""
    return "".join(f" Did you mean '{near}'?" for near in nearest_names(word, known))


def no_such_key(owner: str, key: str, known: Iterable[str]) -> tuple[str, str]:
    """Message on a key that `owner` does not have, and what follows it: the nearest one, or all that it has."""
    hint = did_you_mean(key, known) or f" Its keys: {', '.join(known)}."
    return f"{owner} has no key '{key}'", f".{hint}"


def listed(names: Iterable[object], most: int = LISTED) -> str:
    """`a, b, c, d, e and 3 more`."""
    every = list(map(str, names))
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def counted(count: int, noun: str) -> str:
    """`1 point`, `1,203 points`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """A line without control characters: a terminal would obey those that a model generates."""
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
