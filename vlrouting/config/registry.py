"""What can be chosen by name in a YAML file: built in, or registered by a plug-in."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from vlrouting.config.names import did_you_mean, no_such_key

Facts = TypeVar("Facts")
Implementation = TypeVar("Implementation")


class UnknownName(ValueError):
    """A name that a registry does not have; the text lists those that it has."""


class Registry(Generic[Facts]):
    """Name -> (facts, implementation).

    Facts are plain data that checking an experiment needs: a config dataclass, the tasks that a dataset is for. The
    implementation of a built-in entry is given as `module:attribute` and imported when it is first asked for, so that
    checking an experiment imports no torch.
    """

    def __init__(self, what: str, builtin: Mapping[str, tuple[Facts, str]]) -> None:
        """
        Args:
            what: one entry in words, for messages: `routing function`.
            builtin: name -> (facts, `module:attribute`).
        """
        self.what = what
        self._facts: dict[str, Facts] = {name: facts for name, (facts, _) in builtin.items()}
        self._implementations: dict[str, Any] = {name: path for name, (_, path) in builtin.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._facts

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def names(self) -> tuple[str, ...]:
        """Every name, in order of registration."""
        return tuple(self._facts)

    def facts(self, name: str) -> Facts:
        """The facts of an entry.

        Raises:
            UnknownName: there is no such entry.
        """
        self._require(name)
        return self._facts[name]

    def load(self, name: str) -> Any:
        """The implementation of an entry.

        Raises:
            UnknownName: there is no such entry.
        """
        self._require(name)
        implementation = self._implementations[name]
        if isinstance(implementation, str):
            module, _, attribute = implementation.partition(":")
            implementation = self._implementations[name] = getattr(importlib.import_module(module), attribute)
        return implementation

    def register(self, name: str, facts: Facts, implementation: Any) -> None:
        """Add an entry.

        Raises:
            ValueError: the name is taken by another implementation.
        """
        if name in self._facts:
            taken = self._implementations[name]
            # A notebook cell that is run again defines the same thing again: that is no clash.
            if isinstance(taken, str) or _origin(taken) != _origin(implementation):
                raise ValueError(f"{self.what} '{name}' is already registered by {_spelled(taken)}")
        self._facts[name], self._implementations[name] = facts, implementation

    def registering(self, name: str, facts: Facts) -> Callable[[Implementation], Implementation]:
        """Decorator that registers what it decorates; raises as `register` does."""

        def register(implementation: Implementation) -> Implementation:
            self.register(name, facts, implementation)
            return implementation

        return register

    def choose(self, chosen: str, keys: Iterable[str]) -> Facts:
        """The config dataclass of an entry, if it has all of these keys.

        Raises:
            ValueError: no such entry, or a key that it does not have; the text has a did-you-mean.
        """
        facts = self.facts(chosen)
        known = [field.name for field in dataclasses.fields(facts)]  # type: ignore[arg-type]
        for key in keys:
            if key not in known:
                raise ValueError("".join(no_such_key(f"{self.what} '{chosen}'", key, known)))
        return facts

    def _require(self, name: str) -> None:
        if name not in self._facts:
            raise UnknownName(f"unknown {self.what} '{name}'; known: {', '.join(self)}.{did_you_mean(name, self)}")


def _origin(implementation: Any) -> tuple[str, str]:
    """Module and name of a class or function, or of an object's class."""
    named = implementation if hasattr(implementation, "__qualname__") else type(implementation)
    return named.__module__, named.__qualname__


def _spelled(taken: Any) -> str:
    return taken.replace(":", ".") if isinstance(taken, str) else ".".join(_origin(taken))
