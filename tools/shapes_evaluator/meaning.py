"""The meaning of words and phrases, for `evaluator`; independent of the modules that generate texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from vlrouting.shapes.scene import Scene, Thing

COLOR = "red|green|blue|yellow|purple|orange"
SIZE = "small|large"
SHAPE = "circle|square|triangle|star|cross"
SHAPES = "circles|squares|triangles|stars|crosses"
NOUN = rf"(?:(?:{SIZE}|{COLOR}) )*(?:shape|thing|{SHAPE})"
"""Pattern of a thing's description, without the article."""
NOUNS = rf"(?:(?:{SIZE}|{COLOR}) )*(?:shapes|{SHAPES})"
"""Pattern of a description in the plural."""
VALUE = rf"(?:{COLOR}|{SIZE}|an? (?:{SHAPE}))"
RELATION = "(?:to the left of|to the right of|above|below)"
PLACE = "(?:(?:top|middle|bottom) (?:left|center|right)|center)"
"""Pattern of a cell's name."""
NUMBERS = {word: n for n, word in enumerate(["no", "one", "two", "three", "four", "five", "six", "seven", "eight"])}

Test = Callable[[Thing], bool]
Item = TypeVar("Item")

_ATTRIBUTES = {
    **{
        word: (name, word)
        for name, words in (("color", COLOR), ("size", SIZE), ("shape", SHAPE))
        for word in words.split("|")
    },
    **{plural: ("shape", shape) for plural, shape in zip(SHAPES.split("|"), SHAPE.split("|"), strict=True)},
}
"""Word -> attribute and value."""
_ROW = {"top": 0, "middle": 1, "bottom": 2}
_COLUMN = {"left": 0, "center": 1, "right": 2}


class NotUnderstood(ValueError):
    """A text is not in the language of this world, or mentions "the" thing of a kind that is not unique."""


def kind(words: str) -> Test:
    """The test for `large red circles`; articles, `shape` and `thing` are ignored."""
    wanted = [_ATTRIBUTES[word] for word in words.split() if word in _ATTRIBUTES]
    return lambda thing: all(getattr(thing, name) == value for name, value in wanted)


def place(words: str) -> Test:
    """The test for `top left`, `the center` (one cell), `the bottom` (a row), `the center column`."""
    parts = words.split()
    rows = [_ROW[word] for word in parts if word in _ROW]
    columns = [_COLUMN[word] for word in parts if word in _COLUMN]
    if parts[-1] == "center" and not rows:
        rows = [1]
    return lambda thing: (not rows or thing.row in rows) and (not columns or thing.column in columns)


def related(relation: str, first: Thing, second: Thing) -> bool:
    """Whether the relation (`to the left of`, `to its right`, `above`, `below it`, …) holds."""
    if "left" in relation:
        return first.column < second.column
    if "right" in relation:
        return second.column < first.column
    return first.row < second.row if "above" in relation else second.row < first.row


def count(words: str, scene: Scene) -> int:
    """Number of things of a kind."""
    return sum(map(kind(words), scene.things))


def the(words: str, scene: Scene) -> Thing:
    """The one thing of a kind.

    Raises:
        NotUnderstood: there is none, or more than one.
    """
    return only(thing for thing in scene.things if kind(words)(thing))


def only(candidates: Iterable[Item]) -> Item:
    """The single candidate.

    Raises:
        NotUnderstood: there is none, or more than one.
    """
    found = list(candidates)
    if len(found) != 1:
        raise NotUnderstood(f"{found} instead of exactly one")
    return found[0]
