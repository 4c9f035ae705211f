"""Arguments of a wrong type, named in one sentence before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Types = type | tuple[type, ...]


def require_type(function: str, argument: str, value: Any, types: Types) -> None:
    """
    Raises:
        TypeError: the value is of none of the types. A bool is no int.
    """
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        raise TypeError(f"{function}: {argument} is to be {_named(types)}, not {type(value).__name__}")


def require_list(function: str, argument: str, value: Any, types: Types) -> None:
    """
    Raises:
        TypeError: the value is no list or tuple of entries of these types.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        hint = f"; write [{value!r}]" if isinstance(value, str) else ""
        raise TypeError(f"{function}: {argument} is to be a list of {_named(types)}, not {type(value).__name__}{hint}")
    for entry in value:
        require_type(function, f"an entry of {argument}", entry, types)


def _named(types: Types) -> str:
    every = types if isinstance(types, tuple) else (types,)
    return " or ".join("None" if each is type(None) else each.__name__ for each in every)
