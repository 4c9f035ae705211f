"""Five reference captions for a scene, one per frame. Each is true and mentions every thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from random import Random

from vlrouting.shapes.scene import RELATIONS, Scene, Thing
from vlrouting.shapes.words import COUNTS, INVERSE, Kind, kind_of, listed, place, sentence, with_article

_ROWS = ("at the top", "in the middle row", "at the bottom")
_COLUMNS = ("on the left", "in the center column", "on the right")
_BESIDE = {"to the left of": "to its right", "to the right of": "to its left", "above": "below it", "below": "above it"}
"""Relation of the first thing to the second -> position of the second, seen from the first."""

Things = Sequence[Thing]


def captions(scene: Scene, random: Random) -> list[str]:
    """Five different sentences. Most of them mention the things in reading order."""
    sentences = [sentence(frame(scene.things, random)) for frame in _FRAMES]
    random.shuffle(sentences)
    return sentences


def _plain(things: Things, random: Random) -> str:
    listing = _listing(things, size=True)
    return random.choice((listing, listing, f"a picture of {listing}", f"{listing} on a gray background"))


def _counted(things: Things, random: Random) -> str:
    count, listing = _count(things), _listing(things, size=False)
    be = "is" if len(things) == 1 else "are"
    return random.choice((f"there {be} {count}: {listing}", f"{count}: {listing}"))


def _related(things: Things, random: Random) -> str:
    names = _names(things, size=len(things) < 4)
    if len(things) == 1:
        return f"{names[0]} is in the {place(things[0].row, things[0].column)}"
    relation = _relation(things[0], things[1], random)
    forward = f"{names[0]} is {relation} {names[1]}"
    if len(things) == 2:
        backward = "{1} is {0} {2}".format(INVERSE[relation], *_names(things[::-1], size=True))
        return random.choice((forward, forward, backward, f"{names[0]} with {names[1]} {_BESIDE[relation]}"))
    if len(things) == 3:
        return f"{forward}, which is {_relation(things[1], things[2], random)} {names[2]}"
    return f"{forward}, and {names[2]} is {_relation(things[2], things[3], random)} {names[3]}"


def _placed(things: Things, random: Random) -> str:
    if len(things) > 2:
        return _by_rows(things) if random.random() < 0.75 else _by_columns(things)
    names = _names(things, size=True)
    places = [f"in the {place(thing.row, thing.column)}" for thing in things]
    first = f"{places[0]} there is {names[0]}"
    if len(things) == 1:
        return random.choice((first, f"{names[0]} {places[0]} of the picture"))
    pair = f"{names[0]} {places[0]} and {names[1]} {places[1]}"
    return random.choice((pair, f"{first}, and {places[1]} {names[1]}"))


def _by_rows(things: Things) -> str:
    rows = groupby(things, key=lambda thing: thing.row)
    return _grouped({_ROWS[number]: list(row) for number, row in rows}, size=len(things) < 4)


def _by_columns(things: Things) -> str:
    columns = groupby(sorted(things, key=lambda thing: thing.column), key=lambda thing: thing.column)
    return _grouped({_COLUMNS[number]: list(column) for number, column in columns}, size=len(things) < 4)


def _grouped(groups: dict[str, list[Thing]], size: bool) -> str:
    parts = [f"{_listing(things, size)} {where}" for where, things in groups.items()]
    nested = len(parts) == 2 and any(" and " in part for part in parts)
    return ", and ".join(parts) if nested else listed(parts)


def _shown(things: Things, random: Random) -> str:
    listing = _listing(things, size=True)
    return random.choice((f"the picture shows {listing}", f"we see {listing}"))


_FRAMES: tuple[Callable[[Things, Random], str], ...] = (_plain, _counted, _related, _placed, _shown)


def _count(things: Things) -> str:
    return f"{COUNTS[len(things)]} {'shape' if len(things) == 1 else 'shapes'}"


def _listing(things: Things, size: bool) -> str:
    """`a red circle and two blue stars`: each kind once, in the order of its first thing."""
    kinds = Counter(kind_of(thing, size) for thing in things)
    return listed(_number(count, kind) for kind, count in kinds.items())


def _number(count: int, kind: Kind) -> str:
    return with_article(kind.one()) if count == 1 else f"{COUNTS[count]} {kind.many()}"


def _names(things: Things, size: bool) -> list[str]:
    """A phrase for each thing: `a red star`, then `another red star` for a thing of the same kind."""
    kinds = [kind_of(thing, size) for thing in things]
    return [f"another {kind.one()}" if kind in kinds[:i] else with_article(kind.one()) for i, kind in enumerate(kinds)]


def _relation(first: Thing, second: Thing, random: Random) -> str:
    return random.choice([name for name, holds in RELATIONS.items() if holds(first, second)])
