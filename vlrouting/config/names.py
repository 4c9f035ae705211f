"""Names in messages: the nearest known one to a misspelt one, and long lists of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 5
"""Names of a long list that a message shows."""


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


def listed(names: Iterable[object]) -> str:
    """`a, b, c, d, e and 3 more`."""
    every = list(map(str, names))
    return ", ".join(every[:LISTED]) + (f" and {len(every) - LISTED} more" if len(every) > LISTED else "")


def counted(count: int, noun: str) -> str:
    """`1 point`, `1,203 points`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
