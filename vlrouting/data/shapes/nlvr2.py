"""Statements about two pictures, as records of NLVR2's official JSON Lines files.

Every sentence is said of four pairs and is true of two of them, so that its words alone tell nothing. Every pair has
two sentences, so that a pair alone tells nothing either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from vlrouting.data.shapes.scene import (
    ALL,
    COLORS,
    HELD_OUT,
    RELATIONS,
    SEEN,
    SHAPES,
    SIZES,
    Scene,
    random_scene,
)
from vlrouting.data.shapes.words import COUNTS, Kind, with_article

PAIRS = 4
"""Pairs of a set, of which each of its sentences is said."""
SENTENCES = 2
"""Sentences of a set."""
_TRIES = 60
Truth = Callable[[Scene, Scene], bool]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, what it means, and the kinds of things it speaks of."""

    text: str
    true: Truth
    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures of one set."""

    name: str
    """`split-set-pair`, from which the names of the images are made."""
    left: Scene
    right: Scene


def sentence_set(split: str, number: int, random: Random, held_out: bool) -> tuple[list[dict[str, Any]], list[Pair]]:
    """A set of pairs, with its sentences said of each of them: the records, and the pairs to draw.

    Args:
        split: name of the split, the start of every identifier.
        number: number of the set in its split.
        random: where all chance comes from.
        held_out: whether about half the pictures show a held-out combination of colour and shape (else none does).
    """
    found: list[tuple[Scene, Scene]] = []
    while not found:
        statement = random.choice(_FAMILIES)(random, held_out)
        found = _pairs(statement, random, held_out)
    statements = {statement.text: statement}
    while len(statements) < SENTENCES:
        statement = random.choice(_FAMILIES)(random, held_out)
        if sum(statement.true(*scenes) for scenes in found) == PAIRS // 2:
            statements[statement.text] = statement
    pairs = [Pair(f"{split}-{number}-{place}", *scenes) for place, scenes in enumerate(found)]
    said = enumerate(statements.values())
    return [_record(statement, turn, pair, split) for turn, statement in said for pair in pairs], pairs


def _record(statement: Statement, turn: int, pair: Pair, split: str) -> dict[str, Any]:
    label = str(statement.true(pair.left, pair.right))
    about = statement.kinds[0].one() if statement.kinds else "shape"
    return {
        "sentence": statement.text,
        "left_url": f"images/{split}/{pair.name}-img0.png",
        "right_url": f"images/{split}/{pair.name}-img1.png",
        "label": label,
        "identifier": f"{pair.name}-{turn}",
        "writer": "0",
        "validation": {"0": label},
        "extra_validations": {},
        "synset": about,
        "query": about,
    }


def _pairs(statement: Statement, random: Random, held_out: bool) -> list[tuple[Scene, Scene]]:
    """Pairs of which the sentence is true and as many of which it is false, mixed; none where they are too rare."""
    found: dict[bool, list[tuple[Scene, Scene]]] = {True: [], False: []}
    for _ in range(_TRIES):
        left, right = (_scene(statement.kinds, random, held_out) for _ in range(2))
        found[statement.true(left, right)].append((left, right))
        if min(map(len, found.values())) >= PAIRS // 2:
            pairs = found[True][: PAIRS // 2] + found[False][: PAIRS // 2]
            random.shuffle(pairs)
            return pairs
    return []


def _scene(kinds: tuple[Kind, ...], random: Random, held_out: bool) -> Scene:
    """A scene in which, half the time, one thing is made to be of one of the kinds."""
    scene = random_scene(random, held_out and random.random() < 0.5)
    if not kinds or random.random() < 0.5:
        return scene
    things, chosen, kind = list(scene.things), random.randrange(len(scene.things)), random.choice(kinds)
    thing = things[chosen]
    made = replace(thing, color=kind.color or thing.color, shape=kind.shape or thing.shape)
    if made.held_out and not held_out:
        return scene
    things[chosen] = made
    return replace(scene, things=tuple(things))


def _kind(random: Random, held_out: bool) -> Kind:
    """A shape, a colour, or both."""
    color, shape = random.choice(ALL if held_out else SEEN)
    return random.choice((Kind(shape=shape), Kind(color=color), Kind(color=color, shape=shape)))


def _contains(random: Random, held_out: bool) -> Statement:
    """How many of the two pictures show a kind."""
    kind = _kind(random, held_out)
    words, counts = random.choice(
        (
            ("Both images contain", (2,)),
            ("Exactly one image contains", (1,)),
            ("At least one image contains", (1, 2)),
            ("Neither image contains", (0,)),
        )
    )
    return Statement(
        f"{words} {with_article(kind.one())}.",
        lambda left, right: sum(bool(kind.among(scene)) for scene in (left, right)) in counts,
        (kind,),
    )


def _more(random: Random, held_out: bool) -> Statement:
    """Which picture shows more of a kind."""
    kind, more = random.choice((Kind(), _kind(random, held_out))), random.random() < 0.5

    def true(left: Scene, right: Scene) -> bool:
        first, second = len(kind.among(left)), len(kind.among(right))
        return first > second if more else first < second

    word = "more" if more else "fewer"
    return Statement(f"The left image has {word} {kind.many()} than the right image.", true, (kind,))


def _same_number(random: Random, held_out: bool) -> Statement:
    kind = random.choice((Kind(), _kind(random, held_out)))
    return Statement(
        f"The two images have the same number of {kind.many()}.",
        lambda left, right: len(kind.among(left)) == len(kind.among(right)),
        (kind,),
    )


def _in_total(random: Random, held_out: bool) -> Statement:
    kind, count = _kind(random, held_out), random.choice((1, 2, 2, 3))
    if random.random() < 0.3:
        kind, count = Kind(), random.choice((4, 5, 6))
    be, noun = ("is", kind.one()) if count == 1 else ("are", kind.many())
    return Statement(
        f"There {be} exactly {COUNTS[count]} {noun} in the two images.",
        lambda left, right: len(kind.among(left)) + len(kind.among(right)) == count,
        (kind,),
    )


def _each_side(random: Random, held_out: bool) -> Statement:
    """One kind on the left and another on the right."""
    first, second = _kind(random, held_out), _kind(random, held_out)
    here, there = with_article(first.one()), with_article(second.one())
    return Statement(
        f"The left image contains {here} and the right image contains {there}.",
        lambda left, right: bool(first.among(left)) and bool(second.among(right)),
        (first, second),
    )


def _all_one_size(random: Random, held_out: bool) -> Statement:
    side, size = random.choice(("left", "right")), random.choice(SIZES)
    return Statement(
        f"All shapes in the {side} image are {size}.",
        lambda left, right: all(thing.size == size for thing in (left if side == "left" else right).things),
    )


def _lies(random: Random, held_out: bool) -> Statement:
    """One kind beside another in one of the pictures."""
    side, (relation, holds) = random.choice(("left", "right")), random.choice(list(RELATIONS.items()))
    first, second = Kind(color=random.choice(list(COLORS))), Kind(shape=random.choice(SHAPES))
    if (first.color, second.shape) in HELD_OUT and not held_out:
        return _lies(random, held_out)

    def true(left: Scene, right: Scene) -> bool:
        scene = left if side == "left" else right
        return any(holds(thing, other) for thing in first.among(scene) for other in second.among(scene))

    words = f"{with_article(first.one())} is {relation} {with_article(second.one())}"
    return Statement(f"In the {side} image {words}.", true, (first, second))


_FAMILIES: tuple[Callable[[Random, bool], Statement], ...] = (
    *(_contains, _contains, _contains, _more, _more, _same_number, _in_total, _in_total),
    *(_each_side, _all_one_size, _lies, _lies),
)
"""As often as each is drawn."""
