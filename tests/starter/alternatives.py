"""The settings that an experiment's comments offer, taken one at a time, as a reader of the file takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_OFFERED = re.compile(r"( *)# ([a-z_.]+): (.*)")
_SETTING = re.compile(r"( *)([a-z_.]+):")


def alternatives(text: str) -> Iterator[tuple[str, str]]:
    """Each setting in a comment, and the file in which it takes the place of the line that it is an alternative to."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        offered = _OFFERED.fullmatch(line)
        if offered is not None:
            indent, key, value = offered.groups()
            changed = [*lines[:number], f"{indent}{key}: {value}", *lines[number + 1 :]]
            replaced = _same_key_above(lines, number, indent, key)
            yield f"{key}: {value}", "\n".join(changed[:replaced] + changed[replaced + 1 :] if replaced else changed)


def _same_key_above(lines: list[str], number: int, indent: str, key: str) -> int | None:
    for above in range(number - 1, -1, -1):
        setting = _SETTING.match(lines[above])
        if setting is not None and len(setting[1]) < len(indent):
            return None
        if setting is not None and setting.groups() == (indent, key):
            return above
    return None
