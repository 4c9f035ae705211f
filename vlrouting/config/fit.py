"""Whether values fit the fields of a config dataclass: type, range, choices. One rule for all of them."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from vlrouting.config.environment import FromEnvironment
from vlrouting.config.limits import Form, MayUseEnvironment, OneOf, Range, shortened
from vlrouting.config.problem import Problem, one_of

_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_WORDS[types.NoneType] = "null"
_PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}
_Mark = TypeVar("_Mark")
_ANY_NUMBER = {int: Range(least=-(2**63), most=2**63 - 1), float: Range()}
"""Of a field that declares no range."""

_HINTS: dict[type, dict[str, Any]] = {}


class Section(Protocol):
    """A config dataclass."""

    def problems(self) -> list[Problem]:
        """Combinations of values that do not go together."""
        ...


def check(section: Section) -> list[Problem]:
    """What is wrong with a section: with its values one by one, else with combinations of them."""
    return misfits(section) or section.problems()


def misfits(section: Any) -> list[Problem]:
    """A problem for each value of a config dataclass, and of those inside it, that does not fit its field."""
    found: list[Problem] = []
    for name, hint in hints_of(type(section)).items():
        value = getattr(section, name)
        if type(value) in (bool, types.NoneType) and type(value) in options(hint):
            continue  # most fields of an experiment: worth no further look
        found += [problem.below(name) for problem in _misfits_of(value, hint)]
    return found


def _misfits_of(value: Any, hint: Any) -> Iterator[Problem]:
    if dataclasses.is_dataclass(value):
        yield from misfits(value)
    elif isinstance(value, dict) and all(dataclasses.is_dataclass(entry) for entry in value.values()):
        for name, entry in value.items():
            yield from (problem.below(str(name)) for problem in misfits(entry))
    elif (problem := objection(value, hint)) is not None:
        yield problem


def objection(value: Any, hint: Any) -> Problem | None:
    """Why a value does not fit a type with its marks (see `limits`); None when it does. The problem has no keys."""
    for option in options(hint):
        base, marks = unwrapped(option)
        if _is_a(value, base):
            return _refused(value, base, marks)
    return Problem(("",), f"expected {describe(hint)}, got {_quoted(value)}")


def _refused(value: Any, base: Any, marks: tuple[Any, ...]) -> Problem | None:
    if base in _ANY_NUMBER:
        allowed = next((mark for mark in marks if isinstance(mark, Range)), _ANY_NUMBER[base])
        message = allowed.objection(value)
        return Problem(("",), message) if message else None
    if base is str:
        return _refused_text(value, marks)
    entries = list(value.values()) if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    inner = get_args(base)[-1] if get_args(base) and entries else Any
    return next((problem for entry in entries if (problem := objection(entry, inner))), None)


def _refused_text(text: str, marks: tuple[Any, ...]) -> Problem | None:
    if any(0xD800 <= ord(letter) < 0xE000 or letter == "\0" for letter in text):
        return Problem(("",), f"{text!a} has a character that no file can hold")
    if isinstance(text, FromEnvironment) and not any(isinstance(mark, MayUseEnvironment) for mark in marks):
        message = f"{text.written} is for paths such as data.root only, because other values may be sent to a model hub"
        return Problem(("",), message, "write the value itself")
    for mark in marks:
        if isinstance(mark, OneOf) and text not in mark.names:
            return one_of("", text, mark.names)[0]
        if isinstance(mark, Form) and not mark.fits(text):
            return Problem(("",), f"{shortened(text)!r} {mark.message}", mark.remedy)
    return None


def _is_a(value: Any, base: Any) -> bool:
    if base is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if base is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if get_origin(base) is Literal:
        return value in get_args(base)
    if get_origin(base) in (list, tuple):
        inner = options(get_args(base)[0])
        return isinstance(value, (list, tuple)) and all(
            any(_is_a(entry, unwrapped(option)[0]) for option in inner) for entry in value
        )
    base = get_origin(base) or base
    return isinstance(value, base) if isinstance(base, type) and base is not Any else True


def hints_of(section: type) -> dict[str, Any]:
    """Name -> type of every field of a dataclass, with its marks."""
    if section not in _HINTS:
        names = {field.name for field in dataclasses.fields(section)}
        hints = get_type_hints(section, include_extras=True)
        _HINTS[section] = {name: hint for name, hint in hints.items() if name in names}
    return _HINTS[section]


def unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """`Annotated[int, Range(…)]` -> int and its marks."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


@cache
def options(hint: Any) -> tuple[Any, ...]:
    """The types of a union; a type that is none, alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def without_none(hint: Any) -> Any:
    """`X | None` -> X."""
    others = [option for option in options(hint) if option is not types.NoneType]
    return others[0] if len(others) == 1 else hint


def mark_of(hint: Any, kind: type[_Mark]) -> _Mark | None:
    """The mark of a kind that a type has, `None` and other options aside."""
    marks = (mark for option in options(hint) for mark in unwrapped(option)[1])
    return next((mark for mark in marks if isinstance(mark, kind)), None)


def describe(hint: Any) -> str:
    """A type in words: `a whole number or null`."""
    return " or ".join(_described(unwrapped(option)[0]) for option in options(hint))


def _described(base: Any) -> str:
    if get_origin(base) is Literal:
        return " or ".join(map(spelled, get_args(base)))
    if get_origin(base) in (list, tuple):
        return f"a list of {_PLURALS.get(unwrapped(get_args(base)[0])[0], 'values')}"
    if get_origin(base) is dict:
        return "named entries"
    return _WORDS.get(base, "a section" if dataclasses.is_dataclass(base) else getattr(base, "__name__", str(base)))


def spelled(value: object) -> str:
    """A value as YAML has it, without quotes: null, true, 0.1, add."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _quoted(value: object) -> str:
    return shortened(repr(value) if isinstance(value, (str, list, tuple, Mapping)) else spelled(value))
