"""`${key}`: the value of another key. `${oc.env:NAME}`: an environment variable, in paths only. There are no others.

OmegaConf follows the references. It never sees a resolver: a variable is a placeholder in its tree, so that each value
is known both as it is used and as it is written down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from vlrouting.config.environment import FromEnvironment

_OPEN = re.compile(r"(\\*)\$\{")
_NAME = re.compile(r"\s*([\w.]+)\s*(?:(:)|\})")
_VARIABLE = re.compile(r"(\\*)(\$\{oc\.env:\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:,([^${}]*))?\})")
_PLACEHOLDER = re.compile("\0([0-9]+)\0")
"""No text of an experiment has the character in it (see `fit`)."""
_FORMS = "write ${key}, or ${oc.env:NAME} in a path"


class Unresolved(Exception):
    """A reference that leads nowhere; the text says why."""


def has_references(value: object) -> bool:
    """Whether a value is, or has in it, a text with `${`."""
    return "${" in value if isinstance(value, str) else isinstance(value, list) and any(map(has_references, value))


def escaped(text: str) -> str:
    r"""The text with `\${` for `${`, so that it is read as it is."""
    return _OPEN.sub(lambda match: match[1] * 2 + r"\${", text)


class References:
    """Follows the references of one configuration."""

    def __init__(self, values: Mapping[str, object], value_of: Callable[[str], object]) -> None:
        """
        Args:
            values: key -> its value as it is written, for those that have references.
            value_of: the value of any other key. Raises Unresolved.
        """
        from omegaconf import OmegaConf  # here, because most experiments have no references

        self._variables: list[FromEnvironment] = []
        self._wrong: dict[str, Unresolved] = {}
        self._tree = OmegaConf.create()
        for key, value in values.items():
            try:
                named: set[str] = set()
                written = _each_text(value, partial(self._without_variables, key, named))
                for other in named - values.keys():
                    OmegaConf.update(self._tree, other, _each_text(value_of(other), escaped), merge=False)
                OmegaConf.update(self._tree, key, written, merge=False)
            except Unresolved as error:
                self._wrong[key] = error

    def resolved(self, key: str) -> object:
        """The value of a key, every reference in it followed.

        Raises:
            Unresolved: one leads nowhere, or in a circle.
        """
        from omegaconf import ListConfig, OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        if key in self._wrong:
            raise self._wrong[key]
        try:
            value = OmegaConf.select(self._tree, key)
            if isinstance(value, ListConfig):
                value = OmegaConf.to_container(value, resolve=True)
        except (OmegaConfBaseException, RecursionError) as error:
            raise Unresolved(str(error).partition("\n")[0]) from None
        return _each_text(value, self._with_variables)

    def _without_variables(self, key: str, named: set[str], text: str) -> str:
        """The text with placeholders for its variables; the keys that it refers to are added to `named`."""
        marked = _VARIABLE.sub(self._placeholder, text)
        for opening in _OPEN.finditer(marked):
            if len(opening[1]) % 2:  # escaped
                continue
            name = _NAME.match(marked, opening.end())
            if name is None:
                raise Unresolved(f"after ${{, expected a key and }}; {_FORMS}")
            if name[2]:
                raise Unresolved(f"'{name[1]}' is not available; {_FORMS}")
            dots = len(name[1]) - len(name[1].lstrip("."))  # seen from the section that the key stands in
            named.add(".".join([*key.split(".")[:-dots], name[1].lstrip(".")]) if dots else name[1])
        return marked

    def _placeholder(self, match: re.Match[str]) -> str:
        backslashes, written, name, default = match.groups()
        if len(backslashes) % 2:
            return match[0]
        value = os.environ.get(name, default)
        if value is None:
            raise Unresolved(f"the environment variable {name} is not set")
        self._variables.append(FromEnvironment(value, written))
        return f"{backslashes}\0{len(self._variables) - 1}\0"

    def _with_variables(self, text: str) -> str:
        """The text with the values for its placeholders."""
        if "\0" not in text:
            return text
        pieces = _PLACEHOLDER.split(text)  # texts, and between them numbers of variables
        used = [self._variables[int(piece)] if index % 2 else piece for index, piece in enumerate(pieces)]
        written = (piece.written if isinstance(piece, FromEnvironment) else escaped(piece) for piece in used)
        return FromEnvironment("".join(used), "".join(written))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_each_text(entry, change) for entry in value]
    return change(value) if isinstance(value, str) else value
