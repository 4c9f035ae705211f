"""Whether the values of a config dataclass fit its fields, and each other."""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from vlrouting.config.problem import Problem


def check(section: Any) -> list[Problem]:
    """What is wrong with a section: with the types of its values, else with combinations of them."""
    hints = get_type_hints(type(section))
    wrong = [name for name in vars(section) if name in hints and not _fits(getattr(section, name), hints[name])]
    found = [Problem((name,), f"expected {hints[name]}, got {getattr(section, name)!r}") for name in wrong]
    return found or list(section.problems())


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(entry, get_args(hint)[0]) for entry in value)
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
