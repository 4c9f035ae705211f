"""The families of GQA questions. Each draws one question, and related questions, some of which its answer entails.

A family returns an empty list if the scene has no such question, or none with the `wanted` answer (true for yes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

from vlrouting.shapes.absent import absent_pair, other_value
from vlrouting.shapes.gqa_program import GqaQuestion, Step, find, some
from vlrouting.shapes.gqa_questions import (
    VALUES,
    View,
    agree,
    differ,
    ends,
    is_it,
    is_on_side,
    is_related,
    is_there,
    short,
    steps_of,
    what_is_it,
    what_is_the,
    which,
    yes_or_no,
)
from vlrouting.shapes.scene import RELATIONS, SHAPES
from vlrouting.shapes.words import INVERSE, Kind, with_article


def attribute(view: View) -> list[GqaQuestion]:
    """Colour, size or shape of a thing."""
    name = view.random.choice(("color", "color", "shape", "shape", "size"))
    one = view.one(name)
    if one is None:
        return []
    follow_ups = [is_it(one, name, getattr(one.thing, name))]
    if name == "shape":
        return [what_is_it(one), *follow_ups]
    asked = [which(one, name), what_is_the(one, name)]
    view.random.shuffle(asked)
    if view.random.random() < 0.5:
        follow_ups.append(is_it(one, name, other_value(one.thing, name, view.scene, view.random)))
    return [*asked, *follow_ups] if view.random.random() < 0.5 else [asked[0], *follow_ups]


def verify(view: View, wanted: bool) -> list[GqaQuestion]:
    """Whether a thing has an attribute."""
    name = view.random.choice(("color", "size"))
    one = view.one(name)
    if one is None:
        return []
    value = getattr(one.thing, name) if wanted else other_value(one.thing, name, view.scene, view.random)
    return [is_it(one, name, value), which(one, name)]


def choose(view: View) -> list[GqaQuestion]:
    """Which of two values a thing has."""
    name = view.random.choice(("color", "color", "size"))
    one = view.one(name)
    if one is None:
        return []
    value = getattr(one.thing, name)
    options = [value, other_value(one.thing, name, view.scene, view.random)]
    view.random.shuffle(options)
    question = replace(
        which(one, name),
        text=f"Is {one.the} {options[0]} or {options[1]}?",
        program=(*one.steps(), Step(f"choose {name}", (len(one.steps()) - 1,), "|".join(options))),
        types=("chooseAttr", "attr", "choose"),
        valid=tuple(options),
        group=None,
    )
    return [question, is_it(one, name, value)]


def verify_both(view: View, wanted: bool) -> list[GqaQuestion]:
    """Whether a thing has two attributes at once."""
    one = view.one("color", "size")
    if one is None:
        return []
    size, color = one.thing.size, one.thing.color
    if not wanted and view.random.random() < 0.5:
        size = other_value(one.thing, "size", view.scene, view.random)
    elif not wanted:
        color = other_value(one.thing, "color", view.scene, view.random)
    parts = [is_it(one, "size", size), is_it(one, "color", color)]
    found = one.steps()
    last = len(found) - 1
    checks = (Step("verify size", (last,), size), Step("verify color", (last,), color))
    question = yes_or_no(
        f"Is {one.the} both {size} and {color}?",
        wanted,
        f"{one.the} is {'' if wanted else 'not '}both {size} and {color}",
        (*found, *checks, Step("and", (last + 1, last + 2), "")),
        ("verifyAttrAnd", "attr", "logical"),
        about=(one,),
        tells=parts[0].tells | parts[1].tells if wanted else some(one.kind),
        needs=parts[0].needs | parts[1].needs,
    )
    return [question, *parts]


def exists(view: View, wanted: bool) -> list[GqaQuestion]:
    """Whether there is a thing of a kind; the related question is about a wider or narrower kind."""
    thing = view.random.choice(view.scene.things)
    color, shape = (thing.color, thing.shape) if wanted else absent_pair(view.scene, view.random)
    narrow, wide = is_there(view, Kind(color=color, shape=shape)), is_there(view, Kind(shape=shape))
    if wide.answer != narrow.answer:
        return [narrow]
    return [wide, narrow] if view.random.random() < (0.25 if wanted else 0.5) else [narrow, wide]


def exist_two(view: View, wanted: bool) -> list[GqaQuestion]:
    """Whether there are things of both kinds, or of either."""
    both = view.random.random() < 0.5
    shown = [shape for shape in SHAPES if Kind(shape=shape).among(view.scene)]
    absent = [shape for shape in SHAPES if shape not in shown]
    # Number of shapes in the question that the scene shows. both: yes 2, no 1. either: yes 1, no 0.
    present = 1 + wanted if both else int(wanted)
    if present > len(shown) or 2 - present > len(absent):
        return []
    kinds = [Kind(shape=s) for s in view.random.sample(shown, present) + view.random.sample(absent, 2 - present)]
    view.random.shuffle(kinds)
    parts = [is_there(view, kind) for kind in kinds]
    word, linked = ("both", "and") if both else ("either", "or")
    phrase = f"{word} {kinds[0].many()} {linked} {kinds[1].many()}"
    certain = wanted == both  # the answer determines both parts; otherwise one part determines the answer
    deciding = [part for part in parts if part.answer == ("yes" if wanted else "no")]
    middle = len(parts[0].program)
    steps = (*parts[0].program, *find(kinds[1], view.ids(kinds[1]), middle), Step("exist", (middle,), "?"))
    question = yes_or_no(
        f"Are there {phrase}?",
        wanted,
        f"there are {phrase}" if wanted else f"there are not {phrase}",
        (*steps, Step(linked, (middle - 1, len(steps) - 1), "")),
        ("existAnd" if both else "existOr", "obj", "logical"),
        tells=parts[0].tells | parts[1].tells if certain else frozenset(),
        needs=parts[0].needs | parts[1].needs if certain else deciding[0].needs,
    )
    return [question, *parts]


def relation_verify(view: View, wanted: bool) -> list[GqaQuestion]:
    """Whether two things are in a relation; the answer is "no" only if the opposite relation holds."""
    pair, relation = view.two(), view.random.choice(list(RELATIONS))
    if pair is None or not RELATIONS[relation if wanted else INVERSE[relation]](pair[0].thing, pair[1].thing):
        return []
    return [is_related(*pair, relation), is_related(*pair[::-1], INVERSE[relation])]


def relation_choose(view: View) -> list[GqaQuestion]:
    """Which of two opposite relations holds between two things."""
    pair, relation = view.two(), view.random.choice(list(RELATIONS))
    if pair is None or not RELATIONS[relation](pair[0].thing, pair[1].thing):
        return []
    first, second = pair
    options = [relation, INVERSE[relation]]
    view.random.shuffle(options)
    verified = is_related(first, second, relation)
    name = first.kind.shape or "shape"
    found = second.steps()
    question = GqaQuestion(
        f"Is {first.the} {options[0]} or {options[1]} {second.the}?",
        short(relation),
        f"{first.the} is {relation} {second.the}",
        (*found, Step("choose rel", (len(found) - 1,), f"{name},{'|'.join(options)},s ({first.object_id})")),
        ("relChooser", "rel", "choose"),
        valid=tuple(map(short, options)),
        about=pair,
        tells=verified.needs,
        needs=verified.needs,
    )
    return [question, verified]


def what_is_related(view: View) -> list[GqaQuestion]:
    """The only thing that is in a relation to another."""
    anchor, relation = view.one(), view.random.choice(list(RELATIONS))
    found = [thing for thing in view.scene.things if anchor and RELATIONS[relation](thing, anchor.thing)]
    if anchor is None or len(found) != 1:
        return []
    shape, steps = found[0].shape, anchor.steps()
    relate = Step("relate", (len(steps) - 1,), f"_,{relation},s ({view.object_ids[found[0]]})")
    question = GqaQuestion(
        f"What is {relation} {anchor.the}?",
        shape,
        f"{with_article(shape)} is {relation} {anchor.the}",
        (*steps, relate, Step("query", (len(steps),), "name")),
        ("categoryRelS", "rel", "query"),
        valid=SHAPES,
        about=(anchor,),
        group="shape",
        tells=some(Kind(shape=shape)),
    )
    return [question, is_there(view, Kind(shape=shape))]


def compare(view: View, wanted: bool) -> list[GqaQuestion]:
    """Whether two things have the same value of an attribute."""
    name, same = view.random.choice(("color", "size")), view.random.random() < 0.5
    pairs = [
        things
        for things in permutations(view.scene.things, 2)
        if (getattr(things[0], name) == getattr(things[1], name)) == same
    ]
    first, second = (view.referent(thing, (name,)) for thing in view.random.choice(pairs)) if pairs else (None, None)
    if first is None or second is None:
        return []
    questions = [agree(first, second, name), differ(first, second, name)]
    return questions if same == wanted else questions[::-1]


def common(view: View) -> list[GqaQuestion]:
    """What two things have in common, if it is either their colour or their shape."""
    pair = view.two()
    if pair is None:
        return []
    first, second = pair
    shared = [name for name in VALUES if getattr(first.thing, name) == getattr(second.thing, name)]
    if shared not in (["color"], ["shape"]):
        return []
    steps = steps_of(first, second)
    question = GqaQuestion(
        f"What do {first.the} and {second.the} have in common?",
        shared[0],
        f"{first.the} and {second.the} have the same {shared[0]}",
        (*steps, Step("common", ends(first, second), "")),
        ("twoCommon", "attr", "compare"),
        valid=("color", "shape", "size"),
        about=pair,
        tells=agree(first, second, shared[0]).needs,
    )
    return [question, *([agree(first, second, "color")] if shared == ["color"] else [])]


def position(view: View, wanted: bool) -> list[GqaQuestion]:
    """Whether a thing is on one side of the image; there are no such questions about things in the middle."""
    one, side = view.one(), view.random.choice(("left", "right"))
    if one is None or one.thing.column == 1 or (one.thing.column == (0 if side == "left" else 2)) != wanted:
        return []
    return [is_on_side(one, side), is_on_side(one, "left" if side == "right" else "right")]


YES_NO: tuple[Callable[[View, bool], list[GqaQuestion]], ...] = (
    *(verify, verify, verify_both, exists, exists, exist_two, relation_verify, relation_verify, compare, position),
)
"""Families of yes-or-no questions; a family is drawn in proportion to its entries."""
OPEN: tuple[Callable[[View], list[GqaQuestion]], ...] = (
    *(attribute, attribute, attribute, choose, relation_choose, what_is_related, common),
)
"""The other families, with weights as above."""
