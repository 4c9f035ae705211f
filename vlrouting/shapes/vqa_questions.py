"""Questions with ten answers each, as records of VQAv2's official questions and annotations files.

The answer is drawn before the question, so that neither "yes" nor a number can be predicted from the text.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from vlrouting.shapes.absent import absent_pair, other_value
from vlrouting.shapes.scene import COLORS, RELATIONS, SHAPES, SIZES, Scene
from vlrouting.shapes.words import COUNTS, INVERSE, Kind, place, unique_kind, with_article

Asked = tuple[str, str]
"""Question and true answer."""

QUESTION_TYPES = (
    "what color is the",
    "what is in the",
    "what size is the",
    "what shape is the",
    "what is",
    "how many",
    "where is the",
    "are there more",
    "are all",
    "is there",
    "is the",
)
"""First words of a question; a longer entry comes before its own prefix."""
_CORRECT = (7, 8, 8, 9, 9, 9, 10, 10, 10, 10)
"""Number of annotators, of ten, who give the true answer; drawn uniformly."""


def ask(scene: Scene, random: Random) -> list[Asked]:
    """Four different questions: one yes/no, two open, and one that is yes/no or a count."""
    slots: list[Callable[[Scene, Random], Asked]] = [_yes_or_no, _open, _open, random.choice((_yes_or_no, _how_many))]
    asked: dict[str, str] = {}
    for slot in slots:
        text, answer = slot(scene, random)
        while text in asked:
            text, answer = slot(scene, random)
        asked[text] = answer
    return list(asked.items())


def header(split: str) -> dict[str, Any]:
    """The first entries of the official files."""
    return {
        "info": {"description": "Questions about the shapes world, in the file format of VQAv2", "version": "1.0"},
        "task_type": "Open-Ended",
        "data_type": "shapes",
        "data_subtype": split,
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def records(scene: Scene, image_id: int, random: Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The scene's questions and annotations, as records of the official files."""
    questions, annotations = [], []
    for number, (text, answer) in enumerate(ask(scene, random)):
        ids = {"question_id": image_id * 100 + number, "image_id": image_id}
        questions.append(ids | {"question": text})
        annotations.append(ids | _annotation(text, answer, random))
    return questions, annotations


def _annotation(text: str, answer: str, random: Random) -> dict[str, Any]:
    answer_type = "yes/no" if answer in ("yes", "no") else "number" if answer.isdigit() else "other"
    correct = random.choice(_CORRECT)
    given = [(answer, random.choice(("yes", "yes", "yes", "maybe"))) for _ in range(correct)]
    given += [(_other_answer(answer, random), random.choice(("maybe", "maybe", "no"))) for _ in range(10 - correct)]
    random.shuffle(given)
    return {
        "question_type": next(words for words in QUESTION_TYPES if text.lower().startswith(words)),
        "answer_type": answer_type,
        "multiple_choice_answer": answer,
        "answers": [
            {"answer": words, "answer_confidence": confidence, "answer_id": number}
            for number, (words, confidence) in enumerate(given, start=1)
        ],
    }


def _other_answer(answer: str, random: Random) -> str:
    """The answer of another annotator: the true answer in other words, or a wrong one."""
    careful = random.random() < 0.5
    if answer in ("yes", "no"):
        return {"yes": "no", "no": "yes"}[answer]
    if answer.isdigit():
        return COUNTS[int(answer)] if careful and answer != "0" else str(max(0, int(answer) + random.choice((-1, 1))))
    if answer in SHAPES:
        return with_article(answer) if careful else random.choice([shape for shape in SHAPES if shape != answer])
    if answer in COLORS:
        return f"dark {answer}" if careful else random.choice([color for color in COLORS if color != answer])
    if answer in SIZES:
        return {"small": "tiny", "large": "big"}[answer] if careful else next(size for size in SIZES if size != answer)
    return f"in the {answer}" if careful else answer.split()[0]


def _yes_or_no(scene: Scene, random: Random) -> Asked:
    wanted = random.random() < 0.5
    while True:
        found = random.choice(_YES_OR_NO)(scene, random, wanted)
        if found is not None:
            return found, "yes" if wanted else "no"


def _open(scene: Scene, random: Random) -> Asked:
    while True:
        found = random.choice(_OPEN)(scene, random)
        if found is not None:
            return found


def _how_many(scene: Scene, random: Random) -> Asked:
    kinds = [Kind(), *map(Kind, SIZES), *(Kind(color=color) for color in COLORS), *(Kind(shape=s) for s in SHAPES)]
    by_count: dict[int, list[Kind]] = {}
    for kind in kinds:
        by_count.setdefault(len(kind.among(scene)), []).append(kind)
    count = random.choice(sorted(by_count))
    kind = random.choice(by_count[count])
    end = random.choice(("are there", "are in the picture"))
    look = kind.size or kind.color
    if look and random.random() < 0.5:
        return f"How many shapes are {look}?", str(count)
    return f"How many {kind.many()} {end}?", str(count)


def _is_there(scene: Scene, random: Random, wanted: bool) -> str | None:
    thing = random.choice(scene.things)
    color, shape = (thing.color, thing.shape) if wanted else absent_pair(scene, random)
    size = thing.size if wanted else random.choice(SIZES)
    kind = random.choice((Kind(None, color, shape), Kind(None, color, shape), Kind(size, None, shape)))
    return f"Is there {with_article(kind.one())}?" if bool(kind.among(scene)) == wanted else None


def _is_it(scene: Scene, random: Random, wanted: bool) -> str | None:
    """Whether a thing, described by its other attributes, has this value of one attribute."""
    thing, name = random.choice(scene.things), random.choice(("color", "shape", "size"))
    kind = unique_kind(thing, scene, random, hide=(name,))
    value = getattr(thing, name) if wanted else other_value(thing, name, scene, random)
    return f"Is the {kind.one()} {with_article(value) if name == 'shape' else value}?" if kind else None


def _is_related(scene: Scene, random: Random, wanted: bool) -> str | None:
    if len(scene.things) == 1:
        return None
    first, second = random.sample(scene.things, 2)
    kind, other = unique_kind(first, scene, random), unique_kind(second, scene, random)
    relation = random.choice(list(RELATIONS))
    # The answer is "no" only if the opposite relation holds, not if the things are in one column or row.
    true = RELATIONS[relation if wanted else INVERSE[relation]](first, second)
    if kind is None or other is None or not true:
        return None
    return f"Is the {kind.one()} {relation} the {other.one()}?"


def _are_there_more(scene: Scene, random: Random, wanted: bool) -> str | None:
    choices = random.choice(([Kind(color=color) for color in COLORS], [Kind(shape=shape) for shape in SHAPES]))
    more = random.choice([kind for kind in choices if kind.among(scene)])
    fewer = random.choice(choices)
    if len(more.among(scene)) <= len(fewer.among(scene)):
        return None
    first, second = (more, fewer) if wanted else (fewer, more)
    return f"Are there more {first.many()} than {second.many()}?"


def _are_all(scene: Scene, random: Random, wanted: bool) -> str | None:
    sizes = [thing.size for thing in scene.things]
    same = len(set(sizes)) == 1
    # Scenes of mixed sizes are twice as frequent, so half of them are skipped.
    if len(sizes) == 1 or same != wanted or (not wanted and random.random() < 0.5):
        return None
    return f"Are all shapes {random.choice(sizes)}?"


def _what_color(scene: Scene, random: Random) -> Asked | None:
    thing = random.choice(scene.things)
    kind = unique_kind(thing, scene, random, hide=("color",))
    if random.random() < 0.25:
        return f"What color is the shape in the {place(thing.row, thing.column)}?", thing.color
    return (f"What color is the {kind.one()}?", thing.color) if kind else None


def _what_shape(scene: Scene, random: Random) -> Asked | None:
    thing = random.choice(scene.things)
    kind = unique_kind(thing, scene, random, hide=("shape",))
    return (f"What shape is the {kind.one('thing')}?", thing.shape) if kind else None


def _what_size(scene: Scene, random: Random) -> Asked | None:
    thing = random.choice(scene.things)
    kind = unique_kind(thing, scene, random, hide=("size",))
    if kind is None:
        return None
    return random.choice((f"What size is the {kind.one()}?", f"Is the {kind.one()} small or large?")), thing.size


def _what_is_in(scene: Scene, random: Random) -> Asked | None:
    thing = random.choice(scene.things)
    return f"What is in the {place(thing.row, thing.column)}?", thing.shape


def _what_is_related(scene: Scene, random: Random) -> Asked | None:
    anchor, relation = random.choice(scene.things), random.choice(list(RELATIONS))
    kind = unique_kind(anchor, scene, random)
    found = [thing for thing in scene.things if RELATIONS[relation](thing, anchor)]
    return (f"What is {relation} the {kind.one()}?", found[0].shape) if kind and len(found) == 1 else None


def _where(scene: Scene, random: Random) -> Asked | None:
    thing = random.choice(scene.things)
    kind = unique_kind(thing, scene, random)
    return (f"Where is the {kind.one()}?", place(thing.row, thing.column)) if kind else None


_YES_OR_NO = (_is_there, _is_there, _is_it, _is_it, _is_related, _are_there_more, _are_all)
_OPEN = (
    _what_color,
    _what_color,
    _what_color,
    _what_shape,
    _what_shape,
    _what_size,
    _what_is_in,
    _what_is_related,
    _where,
)
