"""English phrases that all formats share: kinds of things and their descriptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random

from vlrouting.shapes.scene import COLUMNS, ROWS, Scene, Thing

COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
INVERSE = {"to the left of": "to the right of", "to the right of": "to the left of", "above": "below", "below": "above"}
"""Relation -> the same relation seen from the second thing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing: an attribute that is None may have any value."""

    size: str | None = None
    color: str | None = None
    shape: str | None = None

    def fits(self, thing: Thing) -> bool:
        """Whether the thing is of this kind."""
        return (
            (self.size is None or self.size == thing.size)
            and (self.color is None or self.color == thing.color)
            and (self.shape is None or self.shape == thing.shape)
        )

    def among(self, scene: Scene) -> list[Thing]:
        """The scene's things of this kind, in reading order."""
        return [thing for thing in scene.things if self.fits(thing)]

    def one(self, noun: str = "shape") -> str:
        """`large red circle`; `noun` replaces the shape if any shape is meant."""
        return _phrase(self.size, self.color, self.shape or noun)

    def many(self) -> str:
        """`large red circles`."""
        return plural(self.one())


def kind_of(thing: Thing, size: bool = True) -> Kind:
    """The full description of a thing, with or without its size."""
    return Kind(thing.size if size else None, thing.color, thing.shape)


def unique_kind(thing: Thing, scene: Scene, random: Random, hide: tuple[str, ...] = ()) -> Kind | None:
    """A kind that only this thing of the scene belongs to, usually a short one; None if there is none.

    `hide` lists the attributes that it must not contain: `size`, `color`, `shape`.
    """
    kinds = [kind for kind in _kinds(thing.size, thing.color, thing.shape, hide) if len(kind.among(scene)) == 1]
    return kinds[min(random.choice((0, 0, 0, 1, 2)), len(kinds) - 1)] if kinds else None


@cache
def _kinds(size: str, color: str, shape: str, hide: tuple[str, ...]) -> list[Kind]:
    """All kinds that such a thing belongs to, the shortest first."""
    choices = [
        (None,) if name in hide else (None, value)
        for name, value in (("size", size), ("color", color), ("shape", shape))
    ]
    kinds = [Kind(*choice) for choice in product(*choices)]
    return sorted((kind for kind in kinds if kind != Kind()), key=lambda kind: kind.one().count(" "))


@cache
def _phrase(size: str | None, color: str | None, noun: str) -> str:
    return " ".join(word for word in (size, color, noun) if word)


def plural(words: str) -> str:
    """`cross` -> `crosses`, `red circle` -> `red circles`."""
    return words + ("es" if words.endswith("s") else "s")


def with_article(words: str) -> str:
    """The words with their article: `an orange circle`."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def listed(parts: Iterable[str]) -> str:
    """`x, y and z`."""
    *rest, last = parts
    return f"{', '.join(rest)} and {last}" if rest else last


def place(row: int, column: int) -> str:
    """A cell's name: `top left`, `middle right`, or `center` for the middle cell."""
    return COLUMNS[1] if row == column == 1 else f"{ROWS[row]} {COLUMNS[column]}"


def sentence(words: str, end: str = ".") -> str:
    """The words with a capital letter and a final mark."""
    return words[0].upper() + words[1:] + end
