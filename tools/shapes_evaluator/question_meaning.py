"""Parses a question and finds its true answer in the scene."""

from __future__ import annotations

import re
from collections.abc import Callable

from tools.shapes_evaluator.meaning import (
    NOUN,
    NOUNS,
    PLACE,
    RELATION,
    VALUE,
    NotUnderstood,
    count,
    kind,
    only,
    place,
    related,
    the,
)
from vlrouting.shapes.scene import Scene

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "center", "right")


def answer(question: str, scene: Scene) -> str:
    """The true answer to a question in lower case, without its question mark.

    Raises:
        NotUnderstood: the question is not in the language of this world, or has no unique answer.
    """
    for pattern, find in _QUESTIONS.items():
        match = re.fullmatch(pattern, question)
        if match:
            found = find(scene, *match.groups())
            return found if isinstance(found, str) else "yes" if found else "no"
    raise NotUnderstood(f"'{question}'")


def _attribute(scene: Scene, name: str, words: str) -> str:
    return str(getattr(the(words, scene), name))


def _attribute_at(scene: Scene, name: str, where: str) -> str:
    return str(getattr(only(thing for thing in scene.things if place(where)(thing)), name))


def _which_of(scene: Scene, words: str, *options: str) -> str:
    """The one of two values that is true, without its article."""
    return only(option for option in options if kind(option)(the(words, scene))).split()[-1]


def _which_side(scene: Scene, words: str, one: str, other: str, anchor: str) -> str:
    relation = only(how for how in (one, other) if related(how, the(words, scene), the(anchor, scene)))
    return next(word for word in ("left", "right", "above", "below") if word in relation)


def _what_is_related(scene: Scene, how: str, words: str) -> str:
    anchor = the(words, scene)
    return only(thing for thing in scene.things if related(how, thing, anchor)).shape


def _where(scene: Scene, words: str) -> str:
    thing = the(words, scene)
    cell = f"{_ROWS[thing.row]} {_COLUMNS[thing.column]}"
    return "center" if cell == "middle center" else cell


def _equal(scene: Scene, first: str, second: str, how: str, name: str) -> bool:
    equal = bool(getattr(the(first, scene), name) == getattr(the(second, scene), name))
    return equal == (how == "the same")


def _in_common(scene: Scene, first: str, second: str) -> str:
    one, other = the(first, scene), the(second, scene)
    return only(name for name in ("color", "shape", "size") if getattr(one, name) == getattr(other, name))


def _both_or_either(scene: Scene, word: str, first: str, second: str) -> bool:
    there = [count(words, scene) > 0 for words in (first, second)]
    return all(there) if word == "both" else any(there)


_QUESTIONS: dict[str, Callable[..., str | bool]] = {
    rf"what (color|shape|size) is the ({NOUN})": _attribute,
    rf"which (color|size) is the ({NOUN})": _attribute,
    rf"what is the (color|size) of the ({NOUN})": _attribute,
    rf"what (color) is the shape in the ({PLACE})": _attribute_at,
    rf"what is in the ({PLACE})": lambda scene, where: _attribute_at(scene, "shape", where),
    rf"what is the ({NOUN})": lambda scene, words: the(words, scene).shape,
    rf"what is ({RELATION}) the ({NOUN})": _what_is_related,
    rf"where is the ({NOUN})": _where,
    rf"how many ({NOUNS}) (?:are there|are in the picture)": lambda scene, words: str(count(words, scene)),
    rf"how many shapes are ({VALUE})": lambda scene, words: str(count(words, scene)),
    rf"is there an? ({NOUN})": lambda scene, words: count(words, scene) > 0,
    rf"are there any ({NOUNS})": lambda scene, words: count(words, scene) > 0,
    rf"are there more ({NOUNS}) than ({NOUNS})": lambda scene, a, b: count(a, scene) > count(b, scene),
    rf"are there (both|either) ({NOUNS}) (?:and|or) ({NOUNS})": _both_or_either,
    rf"are all shapes ({VALUE})": lambda scene, words: count(words, scene) == len(scene.things),
    rf"is the ({NOUN}) ({VALUE})": lambda scene, words, value: kind(value)(the(words, scene)),
    rf"is the ({NOUN}) ({VALUE}) or ({VALUE})": _which_of,
    rf"is the ({NOUN}) both ({VALUE}) and ({VALUE})": lambda scene, words, a, b: kind(f"{a} {b}")(the(words, scene)),
    rf"is the ({NOUN}) ({RELATION}) the ({NOUN})": lambda scene, a, how, b: related(how, the(a, scene), the(b, scene)),
    rf"is the ({NOUN}) ({RELATION}) or ({RELATION}) the ({NOUN})": _which_side,
    rf"is the ({NOUN}) on the (left|right) side of the picture": lambda scene, words, side: (
        the(words, scene).column == _COLUMNS.index(side)
    ),
    rf"do the ({NOUN}) and the ({NOUN}) have (the same|different) (color|shape|size)s?": _equal,
    rf"what do the ({NOUN}) and the ({NOUN}) have in common": _in_common,
}
"""Pattern of a question -> function of the scene and the pattern's groups; returns a word, or whether it is yes."""
