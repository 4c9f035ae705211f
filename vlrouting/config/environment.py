"""Texts that an environment variable went into: what is used differs from what is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


class FromEnvironment(str):
    """A path with the variable's value; `written` has `${oc.env:NAME}` in its place.

    The value is for opening files here. Files that outlive the process, and may be passed on, get `written`.
    """

    written: str

    def __new__(cls, value: str, written: str) -> FromEnvironment:
        text = super().__new__(cls, value)
        text.written = written
        return text

    def __reduce__(self) -> tuple[Any, ...]:  # copies and other processes keep both
        return FromEnvironment, (str(self), self.written)


def as_written(value: Any) -> Any:
    """A value for a file: nested mappings (of a section too) and lists with `written` in place of what came from the
    environment."""
    if isinstance(value, FromEnvironment):
        return value.written
    if is_dataclass(value) and not isinstance(value, type):
        return as_written(asdict(value))
    if isinstance(value, Mapping):
        return {key: as_written(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_written(entry) for entry in value]
    return value
