"""Statements about two images, as records of NLVR2's official JSON Lines files.

Each statement is paired with four image pairs and is true of two of them, so the text alone does not predict the label.
Each image pair has four statements, two of them true, so the images alone do not predict it either.

A label of one bit is a weak training signal. To let a model learn something in minutes on a laptop, most statements say
that a kind of thing (usually a colour) is present, and most images have a single colour. The other statements count,
compare, negate, and describe spatial relations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from vlrouting.shapes.scene import ALL, COLORS, HELD_OUT, RELATIONS, SEEN, SHAPES, SIZES, Scene, Thing, random_scene
from vlrouting.shapes.words import COUNTS, Kind, with_article

PAIRS = 4
"""Image pairs per set; each statement of the set is paired with all of them."""
SENTENCES = 4
"""Statements per set."""
_ALIKE = 0.95
"""Fraction of images whose things all have one colour."""
_SET_COLORS = 3
"""Number of such colours per set."""
_PAIR_TRIES = 60
_FAMILIES_TRIED = 75
_FAMILY_TRIES = 40
Truth = Callable[[Scene, Scene], bool]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, its meaning, and the kinds of things it mentions."""

    text: str
    true: Truth
    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of one set."""

    name: str
    """`split-set-pair`, the start of the images' names."""
    left: Scene
    right: Scene


def sentence_set(split: str, number: int, random: Random, held_out: bool) -> tuple[list[dict[str, Any]], list[Pair]]:
    """One set: the records (every statement with every image pair), and the pairs to draw.

    Args:
        split: name of the split, the start of every identifier.
        number: number of the set in its split.
        random: the random generator.
        held_out: whether more than a third of the images show a held-out combination of colour and shape (else none).
    """
    statements: list[Statement] = []
    while not statements:
        first = random.choice(_FAMILIES)(random, held_out)
        found = _pairs(first, random, held_out)
        statements = _statements(first, found, random, held_out) if found else []
    pairs = [Pair(f"{split}-{number}-{place}", *scenes) for place, scenes in enumerate(found)]
    return [_record(statement, turn, pair, split) for turn, statement in enumerate(statements) for pair in pairs], pairs


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
    """Image pairs in random order; the statement is true of half of them. Empty if such pairs are too rare."""
    colors = random.sample(list(COLORS), _SET_COLORS)
    found: dict[bool, list[tuple[Scene, Scene]]] = {True: [], False: []}
    for _ in range(_PAIR_TRIES):
        left, right = (_scene(statement.kinds, colors, random, held_out) for _ in range(2))
        found[statement.true(left, right)].append((left, right))
        if min(map(len, found.values())) >= PAIRS // 2:
            pairs = found[True][: PAIRS // 2] + found[False][: PAIRS // 2]
            random.shuffle(pairs)
            return pairs
    return []


def _statements(first: Statement, pairs: list[tuple[Scene, Scene]], random: Random, held_out: bool) -> list[Statement]:
    """The first and further statements: each is true of half the pairs, and half of them are true of each pair.

    Empty if there are not enough such statements.
    """
    said: dict[str, Statement] = {}
    needed = {label: [SENTENCES // 2] * PAIRS for label in (True, False)}  # label -> missing statements per pair
    for statement in _candidates(first, random, held_out):
        labels = [statement.true(*pair) for pair in pairs]
        fits = sum(labels) == PAIRS // 2 and all(needed[label][place] for place, label in enumerate(labels))
        if statement.text in said or not fits:
            continue
        said[statement.text] = statement
        if len(said) == SENTENCES:
            return list(said.values())
        for place, label in enumerate(labels):
            needed[label][place] -= 1
    return []


def _candidates(first: Statement, random: Random, held_out: bool) -> Iterator[Statement]:
    """The first statement, then many of one family after the other.

    If each were drawn from a random family, families whose statements are often true would be over-represented.
    """
    yield first
    for _ in range(_FAMILIES_TRIED):
        family = random.choice(_FAMILIES)
        for _ in range(_FAMILY_TRIES):
            yield family(random, held_out)


def _scene(kinds: tuple[Kind, ...], colors: Sequence[str], random: Random, held_out: bool) -> Scene:
    """A scene, usually of one colour; half the time it is made to contain a thing of one of the kinds."""
    scene = random_scene(random, held_out and random.random() < 0.5)
    kind = random.choice(kinds) if kinds and random.random() < 0.5 else Kind()
    if random.random() < _ALIKE:
        color = kind.color or random.choice(colors)
        scene = _allowed([replace(thing, color=color) for thing in scene.things], scene, held_out)
    if any(map(kind.fits, scene.things)):
        return scene
    things, chosen = list(scene.things), random.randrange(len(scene.things))
    thing = things[chosen]
    things[chosen] = replace(thing, color=kind.color or thing.color, shape=kind.shape or thing.shape)
    return _allowed(things, scene, held_out)


def _allowed(things: list[Thing], scene: Scene, held_out: bool) -> Scene:
    """The scene with these things, or unchanged if they show a held-out combination that is not allowed."""
    shown = any(thing.held_out for thing in things)
    return scene if shown and not held_out else replace(scene, things=tuple(things))


def _kind(random: Random, held_out: bool) -> Kind:
    """Usually a colour, sometimes a shape, or both."""
    color, shape = random.choice(ALL if held_out else SEEN)
    return random.choices((Kind(color=color), Kind(shape=shape), Kind(color=color, shape=shape)), (9, 1, 1))[0]


def _shows(random: Random, held_out: bool) -> Statement:
    """A kind is present in one of the images, or in both. Its negation, equally frequent, would slow down learning."""
    kind, both = _kind(random, held_out), random.random() < 0.25
    return Statement(
        f"{'Both images show' if both else 'An image shows'} {with_article(kind.one())}.",
        lambda left, right: (all if both else any)(kind.among(scene) for scene in (left, right)),
        (kind,),
    )


def _how_many_show(random: Random, held_out: bool) -> Statement:
    """Exactly one of the images, or none, shows a kind."""
    kind = _kind(random, held_out)
    words, count = random.choice((("Exactly one image shows", 1), ("Neither image shows", 0)))
    return Statement(
        f"{words} {with_article(kind.one())}.",
        lambda left, right: sum(bool(kind.among(scene)) for scene in (left, right)) == count,
        (kind,),
    )


def _one_side(random: Random, held_out: bool) -> Statement:
    """The left or the right image shows a kind."""
    side, kind = random.choice(("left", "right")), _kind(random, held_out)
    return Statement(
        f"The {side} image shows {with_article(kind.one())}.",
        lambda left, right: bool(kind.among(left if side == "left" else right)),
        (kind,),
    )


def _more(random: Random, held_out: bool) -> Statement:
    """The left image shows more, or fewer, things of a kind."""
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
        f"The left image shows {here} and the right image shows {there}.",
        lambda left, right: bool(first.among(left)) and bool(second.among(right)),
        (first, second),
    )


def _all_one_size(random: Random, held_out: bool) -> Statement:
    side, size = random.choice(("left", "right")), random.choice(SIZES)
    return Statement(
        f"All shapes in the {side} image are {size}.",
        lambda left, right: all(thing.size == size for thing in (left if side == "left" else right).things),
    )


def _relation(random: Random, held_out: bool) -> Statement:
    """A spatial relation between two kinds in one of the images."""
    side, (relation, holds) = random.choice(("left", "right")), random.choice(list(RELATIONS.items()))
    first, second = Kind(color=random.choice(list(COLORS))), Kind(shape=random.choice(SHAPES))
    if (first.color, second.shape) in HELD_OUT and not held_out:
        return _relation(random, held_out)

    def true(left: Scene, right: Scene) -> bool:
        scene = left if side == "left" else right
        return any(holds(thing, other) for thing in first.among(scene) for other in second.among(scene))

    words = f"{with_article(first.one())} is {relation} {with_article(second.one())}"
    return Statement(f"In the {side} image {words}.", true, (first, second))


_FAMILIES: tuple[Callable[[Random, bool], Statement], ...] = (
    *(_shows,) * 48,
    *(_how_many_show, _one_side, _more, _same_number, _in_total, _each_side, _all_one_size, _relation),
)
"""Families of statements; a family is drawn in proportion to its entries."""
