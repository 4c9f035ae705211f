"""`${key}`: the value of another key. `${oc.env:NAME}`: an environment variable, in paths only. There are no others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vlrouting.config.environment import FromEnvironment
from vlrouting.config.fit import spelled

_OPEN = re.compile(r"(\\*)\$\{")
_INNER = re.compile(r"([^${}]*)\}")
_VARIABLE = re.compile(r"oc\.env:\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:,(.*))?", re.DOTALL)

_FORMS = "write ${key}, or ${oc.env:NAME} in a path"


class Unresolved(Exception):
    """A reference that leads nowhere; the text says why."""


@dataclass(frozen=True)
class _Reference:
    inner: str


def has_references(value: object) -> bool:
    """Whether a value is, or has in it, a text with `${`."""
    return "${" in value if isinstance(value, str) else isinstance(value, list) and any(map(has_references, value))


def escaped(text: str) -> str:
    r"""The text with `\${` for `${`, so that it is read as it is."""
    return _OPEN.sub(lambda match: match[1] * 2 + r"\${", text)


@dataclass(frozen=True)
class References:
    """Follows the references of one configuration."""

    values: Mapping[str, object]
    """Key -> its value as it is written, for those that have references."""
    value_of: Callable[[str], object]
    """The value of any other key. Raises Unresolved."""
    _chain: list[str] = field(default_factory=list)

    def resolved(self, key: str) -> object:
        """The value of a key, every reference in it followed.

        Raises:
            Unresolved: one leads nowhere, or in a circle.
        """
        if key not in self.values:
            return self.value_of(key)
        if key in self._chain:
            raise Unresolved(f"it leads in a circle: {' → '.join([*self._chain[self._chain.index(key) :], key])}")
        self._chain.append(key)
        try:
            return self._expanded(self.values[key], key)
        finally:
            self._chain.pop()

    def _expanded(self, value: Any, key: str) -> object:
        if isinstance(value, list):
            return [self._expanded(entry, key) for entry in value]
        if not has_references(value):
            return value
        parts = [self._followed(part, key) if isinstance(part, _Reference) else part for part in _parts(value)]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _followed(self, reference: _Reference, key: str) -> object:
        inner = reference.inner.strip()
        if ":" in inner:
            return _variable(inner)
        dots = len(inner) - len(inner.lstrip("."))
        if dots:  # seen from the section that the key stands in
            inner = ".".join([*key.split(".")[:-dots], inner.lstrip(".")])
        return self.resolved(inner)


def _variable(inner: str) -> FromEnvironment:
    match = _VARIABLE.fullmatch(inner)
    if match is None:
        name = inner.partition(":")[0]
        raise Unresolved(f"'{name}' is not available; {_FORMS}")
    value = os.environ.get(match[1], match[2])
    if value is None:
        raise Unresolved(f"the environment variable {match[1]} is not set")
    return FromEnvironment(value, f"${{{inner}}}")


def _parts(text: str) -> list[object]:
    """The text in pieces: texts, and references between them."""
    parts: list[object] = []
    position = 0
    while (start := _OPEN.search(text, position)) is not None:
        backslashes = len(start[1])
        parts.append(text[position : start.start()] + "\\" * (backslashes // 2) + ("${" if backslashes % 2 else ""))
        position = start.end()
        if backslashes % 2 == 0:
            inner = _INNER.match(text, position)
            if inner is None:
                raise Unresolved(f"after ${{, expected a key and }}; {_FORMS}")
            parts.append(_Reference(inner[1]))
            position = inner.end()
    return [part for part in [*parts, text[position:]] if part != ""]


def _joined(parts: list[object]) -> str:
    for part in parts:
        if isinstance(part, list):
            raise Unresolved("a list cannot be a part of a text")
    text = "".join(map(spelled, parts))
    if not any(isinstance(part, FromEnvironment) for part in parts):
        return text
    return FromEnvironment(
        text, "".join(part.written if isinstance(part, FromEnvironment) else escaped(spelled(part)) for part in parts)
    )
