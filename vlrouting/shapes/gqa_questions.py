"""Single GQA questions, from which the families are composed: text, program, types, implied and needed facts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from vlrouting.shapes.gqa_program import GqaQuestion, Referent, Step, find, none, some
from vlrouting.shapes.scene import COLORS, RELATIONS, SHAPES, SIZES, Scene, Thing
from vlrouting.shapes.words import Kind, unique_kind, with_article

VALUES = {"color": tuple(COLORS), "shape": SHAPES, "size": SIZES}
_AXES = {"to the left of": "columns", "to the right of": "columns", "above": "rows", "below": "rows"}


@dataclass(frozen=True, slots=True)
class View:
    """A scene with the ids of its things, and the random generator that chooses the questions."""

    scene: Scene
    object_ids: dict[Thing, str]
    random: Random

    def referent(self, thing: Thing, hide: tuple[str, ...] = ()) -> Referent | None:
        """The thing, described uniquely without the attributes in `hide`; None if that is impossible."""
        kind = unique_kind(thing, self.scene, self.random, hide)
        return Referent(thing, kind, self.object_ids[thing]) if kind else None

    def one(self, *hide: str) -> Referent | None:
        """A random thing, described without the attributes in `hide`; None if that is impossible."""
        return self.referent(self.random.choice(self.scene.things), hide)

    def two(self, hide: tuple[str, ...] = ()) -> tuple[Referent, Referent] | None:
        """Two random things; None if there are no two, or one of them cannot be described uniquely."""
        if len(self.scene.things) == 1:
            return None
        first, second = (self.referent(thing, hide) for thing in self.random.sample(self.scene.things, 2))
        return (first, second) if first and second else None

    def ids(self, kind: Kind) -> str:
        """Ids of all things of a kind; `-` if there are none."""
        return ",".join(self.object_ids[thing] for thing in kind.among(self.scene)) or "-"


def which(one: Referent, name: str) -> GqaQuestion:
    """Which colour or size a thing has."""
    value, steps = getattr(one.thing, name), one.steps()
    return GqaQuestion(
        f"Which {name} is {one.the}?",
        value,
        f"{one.the} is {value}",
        (*steps, Step("query", (len(steps) - 1,), name)),
        ("directWhich", "attr", "query"),
        valid=VALUES[name],
        about=(one,),
        group=name,
        tells=_known(one, name),
        needs=_needed(one, name),
    )


def what_is_the(one: Referent, name: str) -> GqaQuestion:
    """As `which`, in other words."""
    return replace(which(one, name), text=f"What is the {name} of {one.the}?", types=("directOf", "attr", "query"))


def what_is_it(one: Referent) -> GqaQuestion:
    """The name of a thing: its shape."""
    shape, steps = one.thing.shape, one.steps()
    return replace(
        which(one, "shape"),
        text=f"What is {one.the}?",
        full_answer=f"{one.the} is {with_article(shape)}",
        program=(*steps, Step("query", (len(steps) - 1,), "name")),
        types=("categoryAttr", "cat", "query"),
    )


def is_it(one: Referent, name: str, value: str) -> GqaQuestion:
    """Whether a thing has this colour, shape or size."""
    true, steps = getattr(one.thing, name) == value, one.steps()
    said = with_article(value) if name == "shape" else value
    # There are only two sizes, so "no" implies the size too.
    known = _known(one, name) if true or name == "size" else some(one.kind)
    return yes_or_no(
        f"Is {one.the} {said}?",
        true,
        f"{one.the} is {'' if true else 'not '}{said}",
        (*steps, Step(f"verify {name}", (len(steps) - 1,), value)),
        ("verifyAttr", "attr", "verify"),
        about=(one,),
        tells=known,
        needs=_needed(one, name),
    )


def is_there(view: View, kind: Kind) -> GqaQuestion:
    """Whether there is a thing of this kind."""
    true, steps = bool(kind.among(view.scene)), find(kind, view.ids(kind))
    words = f"Is there {with_article(kind.one())}?" if view.random.random() < 0.7 else f"Are there any {kind.many()}?"
    return yes_or_no(
        words,
        true,
        f"there is {with_article(kind.one()) if true else f'no {kind.one()}'}",
        (*steps, Step("exist", (len(steps) - 1,), "?")),
        ("existAttr" if kind.color else "exist", "obj", "verify"),
        tells=some(kind) if true else none(kind),
        needs=frozenset({f"{'some' if true else 'no'} {kind.one()}"}),
    )


def is_related(first: Referent, second: Referent, relation: str) -> GqaQuestion:
    """Whether two things are in this relation."""
    true, steps = RELATIONS[relation](first.thing, second.thing), second.steps()
    name = first.kind.shape or "shape"
    order = frozenset({f"{_AXES[relation]} of {' and '.join(sorted((first.the, second.the)))}"})
    return yes_or_no(
        f"Is {first.the} {relation} {second.the}?",
        true,
        f"{first.the} is {'' if true else 'not '}{relation} {second.the}",
        (*steps, Step("verify rel", (len(steps) - 1,), f"{name},{relation},s ({first.object_id})")),
        ("relVerify", "rel", "verify"),
        about=(first, second),
        tells=order if true else frozenset(),  # otherwise they may be in one line
        needs=order,
    )


def agree(first: Referent, second: Referent, name: str) -> GqaQuestion:
    """Whether two things have the same colour or size."""
    same = getattr(first.thing, name) == getattr(second.thing, name)
    equal = frozenset({f"whether the {name} is equal of {' and '.join(sorted((first.the, second.the)))}"})
    return yes_or_no(
        f"Do {first.the} and {second.the} have the same {name}?",
        same,
        f"{first.the} and {second.the} have {f'the same {name}' if same else f'different {name}s'}",
        (*steps_of(first, second), Step(f"same {name}", ends(first, second), "")),
        ("twoSame", "attr", "compare"),
        about=(first, second),
        tells=equal,
        needs=equal,
    )


def differ(first: Referent, second: Referent, name: str) -> GqaQuestion:
    """Whether two things have different colours or sizes."""
    opposite = agree(first, second, name)
    return replace(
        opposite,
        text=f"Do {first.the} and {second.the} have different {name}s?",
        answer="no" if opposite.answer == "yes" else "yes",
        full_answer=_prefixed(opposite.answer == "no", opposite.full_answer.split(", ", 1)[1]),
        program=(*steps_of(first, second), Step(f"different {name}", ends(first, second), "")),
        types=("twoDifferent", "attr", "compare"),
    )


def is_on_side(one: Referent, side: str) -> GqaQuestion:
    """Whether a thing that is not in the middle is on this side of the image."""
    true, steps = (one.thing.column == 0) == (side == "left"), one.steps()
    known = frozenset({f"side of {one.the}"})
    return yes_or_no(
        f"Is {one.the} on the {side} side of the picture?",
        true,
        f"{one.the} is {'' if true else 'not '}on the {side} side of the picture",
        (*steps, Step("verify hposition", (len(steps) - 1,), side)),
        ("positionVerify", "attr", "verify"),
        about=(one,),
        tells=known if true else frozenset(),  # otherwise it may be in the middle
        needs=known,
    )


def yes_or_no(
    text: str,
    true: bool,
    full_answer: str,
    program: tuple[Step, ...],
    types: tuple[str, str, str],
    about: tuple[Referent, ...] = (),
    tells: frozenset[str] = frozenset(),
    needs: frozenset[str] = frozenset(),
) -> GqaQuestion:
    """A question with the answer yes or no."""
    answer = "yes" if true else "no"
    return GqaQuestion(
        text, answer, _prefixed(true, full_answer), program, types, ("yes", "no"), about, None, tells, needs
    )


def short(relation: str) -> str:
    """`left` for `to the left of`."""
    return relation.removeprefix("to the ").removesuffix(" of")


def steps_of(first: Referent, second: Referent) -> tuple[Step, ...]:
    """The steps that find two things."""
    return (*first.steps(), *second.steps(len(first.steps())))


def ends(first: Referent, second: Referent) -> tuple[int, int]:
    """Indices of the last steps of `steps_of` for each of the two things."""
    return len(first.steps()) - 1, len(first.steps()) + len(second.steps()) - 1


def _prefixed(true: bool, words: str) -> str:
    return f"{'yes' if true else 'no'}, {words}"


def _known(one: Referent, name: str) -> frozenset[str]:
    seen = replace(one.kind, **{name: getattr(one.thing, name)})
    return _needed(one, name) | some(seen)


def _needed(one: Referent, name: str) -> frozenset[str]:
    return frozenset({f"{name} of {one.the}"})
