"""Parses a caption into the things that it mentions, their relations and their positions, and checks it on a scene."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations

from tools.shapes_evaluator.meaning import (
    COLOR,
    NOUN,
    NUMBERS,
    RELATION,
    SHAPES,
    SIZE,
    NotUnderstood,
    Test,
    count,
    kind,
    place,
    related,
)
from vlrouting.shapes.scene import Scene

_NUMBER = "one|two|three|four"
_TOKEN = re.compile(
    rf"(?P<mention>(?:a single|an?|another|{_NUMBER}) {NOUN}(?:e?s)?)\b"
    r"|(?P<place>(?:in|at|on) the (?:top|middle|bottom|left|center|right)(?: (?:left|center|right|row|column))?)\b"
    rf"|(?P<relation>{RELATION})(?! it)\b"
    r"|(?P<beside>to its left|to its right|above it|below it)\b"
    r"|(?P<joint>(?:, which is|, and|and|is|there is|with|of the picture)\b|,)"
)
_HEAD = re.compile(r"(?:a picture of|the picture shows|we see) ")
_TAIL = " on a gray background"


@dataclass
class _Listing:
    """The mentions of a caption in order, and the relations and positions between them, by index."""

    mentions: list[tuple[int, Test]] = field(default_factory=list)
    relations: list[tuple[int, str, int]] = field(default_factory=list)
    places: list[tuple[int, Test]] = field(default_factory=list)

    def fits(self, scene: Scene) -> bool:
        """Whether the mentions can be assigned one to one to all things of the scene, so that everything holds."""
        slots = [number for number, (many, _) in enumerate(self.mentions) for _ in range(many)]
        return len(slots) == len(scene.things) and any(
            self._holds(scene, slots, order) for order in permutations(range(len(slots)))
        )

    def _holds(self, scene: Scene, slots: list[int], order: tuple[int, ...]) -> bool:
        meant: dict[int, list[int]] = {}
        for slot, thing in zip(slots, order, strict=True):
            meant.setdefault(slot, []).append(thing)
        things = {slot: [scene.things[number] for number in numbers] for slot, numbers in meant.items()}
        return (
            all(test(thing) for number, (_, test) in enumerate(self.mentions) for thing in things[number])
            and all(test(thing) for number, test in self.places for thing in things[number])
            and all(
                related(how, a, b)
                for first, how, second in self.relations
                for a in things[first]
                for b in things[second]
            )
        )


def caption_holds(words: str, scene: Scene) -> bool:
    """Whether a caption, in lower case and without its full stop, is true of a scene.

    Raises:
        NotUnderstood: the caption is not in the language of this world.
    """
    for pattern, holds in _SHORT.items():
        match = re.fullmatch(pattern, words)
        if match:
            return holds(match, scene)
    words = words.removesuffix(_TAIL)
    counted = re.fullmatch(rf"(?:there (?:is|are) )?({_NUMBER}) shapes?: (.+)", words)
    if counted:
        return NUMBERS[counted[1]] == len(scene.things) and _read(counted[2]).fits(scene)
    return _read(_HEAD.sub("", words, count=1)).fits(scene)


def _read(words: str) -> _Listing:
    listing = _Listing()
    place_first, where = False, None  # `in the top left there is a star`, or `a star in the top left`
    waiting: list[int] = []  # mentions whose position follows later
    relation = ""
    position = 0
    while position < len(words):
        token = _TOKEN.match(words, position)
        if token is None:
            raise NotUnderstood(f"'{words[position:]}'")
        last = len(listing.mentions) - 1
        text = token[0]
        if token.lastgroup == "mention":
            listing.mentions.append((NUMBERS.get(text.split()[0], 1), kind(text)))
            if relation:
                listing.relations.append((last, relation, last + 1))
                relation = ""
            if where is not None:
                listing.places.append((last + 1, where))
            else:
                waiting.append(last + 1)
        elif token.lastgroup == "place":
            place_first = place_first or last < 0
            where = place(text) if place_first else None
            listing.places += [] if place_first else [(number, place(text)) for number in waiting]
            waiting = []
        elif token.lastgroup == "relation":
            relation = text
        elif token.lastgroup == "beside":
            listing.relations.append((last, text, last - 1))
        position = token.end() + (words[token.end() : token.end() + 1] == " ")
    if relation or any(min(first, second) < 0 for first, _, second in listing.relations):
        raise NotUnderstood(f"'{words}': a relation needs two things")
    return listing


def _all_are(match: re.Match[str], scene: Scene) -> bool:
    return count(match[1], scene) == len(scene.things)


def _colors_are(match: re.Match[str], scene: Scene) -> bool:
    return sorted(re.findall(COLOR, match[1])) == sorted({thing.color for thing in scene.things})


def _some_of_them(match: re.Match[str], scene: Scene) -> bool:
    return NUMBERS[match[1]] == len(scene.things) and NUMBERS[match[2]] == count(match[3], scene)


def _one_of_each(match: re.Match[str], scene: Scene) -> bool:
    colors = Counter(re.findall(COLOR, match[3]))
    return NUMBERS[match[1]] == len(scene.things) == count(match[2], scene) and colors == Counter(
        thing.color for thing in scene.things
    )


_SHORT: dict[str, Callable[[re.Match[str], Scene], bool]] = {
    rf"all shapes are ({COLOR}|{SIZE})": _all_are,
    rf"the shapes are ((?:{COLOR})(?:(?:, | and )(?:{COLOR}))*)": _colors_are,
    rf"({_NUMBER}) shapes, ({_NUMBER}) of them ({SIZE}|{COLOR})": _some_of_them,
    rf"({_NUMBER}) ({SHAPES}), (one (?:{COLOR})(?:(?:, | and )one (?:{COLOR}))*)": _one_of_each,
}
