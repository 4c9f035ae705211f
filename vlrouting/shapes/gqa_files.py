"""Questions with semantic programs, as records of GQA's official question and choices files.

Some questions about each scene are balanced: yes and no are equally frequent answers, and so are all colours. The other
questions are related to the balanced ones and are needed to compute consistency.
"""

from __future__ import annotations

from random import Random
from typing import Any

from vlrouting.shapes.gqa_families import OPEN, YES_NO
from vlrouting.shapes.gqa_program import GqaQuestion
from vlrouting.shapes.gqa_questions import View
from vlrouting.shapes.scene import Scene
from vlrouting.shapes.words import sentence

_BALANCED = 5
_MOST = 10


def records(scene: Scene, image_id: int, random: Random) -> list[tuple[str, dict[str, Any], dict[str, list[str]]]]:
    """Question id, record and choices of all questions about a scene; the record's `isBalanced` marks balanced ones."""
    object_ids = {thing: str(image_id * 10 + number) for number, thing in enumerate(scene.things)}
    balanced, others = ask(View(scene, object_ids, random))
    asked = {f"{image_id * 100 + number:08d}": q for number, q in enumerate([*balanced.values(), *others])}
    programs = {key: question.semantic_string for key, question in asked.items()}
    found = []
    for key, question in asked.items():
        relations = {
            "isBalanced": question.text in balanced,
            "semanticStr": programs[key],
            "entailed": [other for other in asked if other != key and question.entails(asked[other])],
            "equivalent": [other for other in asked if programs[other] == programs[key]],
        }
        # Every combination of attributes is possible, so all valid answers are plausible.
        choices = {"valid": list(question.valid), "plausible": list(question.valid)}
        found.append((key, _record(question, image_id) | relations, choices))
    return found


def ask(view: View) -> tuple[dict[str, GqaQuestion], list[GqaQuestion]]:
    """Balanced questions by their text, and related questions; all texts are different."""
    balanced: dict[str, GqaQuestion] = {}
    others: dict[str, GqaQuestion] = {}
    while len(balanced) < _BALANCED:
        # Yes-or-no questions alternate with others; the fifth is random.
        yes_or_no = view.random.random() < 0.5 if len(balanced) == _BALANCED - 1 else len(balanced) % 2 == 0
        first, *rest = _family(view, yes_or_no)
        if first.text not in balanced:
            balanced[first.text] = first
            others |= {question.text: question for question in rest}
    added = [question for text, question in others.items() if text not in balanced]
    return balanced, added[: _MOST - _BALANCED]


def _family(view: View, yes_or_no: bool) -> list[GqaQuestion]:
    wanted = view.random.random() < 0.5
    if not yes_or_no:
        for family in view.random.sample(OPEN, len(OPEN)):
            if found := family(view):
                return found
    # Some of these families need no unique thing, so this ends even if all things look alike.
    while True:
        if found := view.random.choice(YES_NO)(view, wanted):
            return found


def _record(question: GqaQuestion, image_id: int) -> dict[str, Any]:
    """The entries of a question's record that do not depend on other questions."""
    full_answer = sentence(question.full_answer)
    detailed, semantic, structural = question.types
    return {
        "semantic": [
            {"operation": step.operation, "dependencies": list(step.dependencies), "argument": step.argument}
            for step in question.program
        ],
        "question": question.text,
        "imageId": str(image_id),
        "groups": {"global": question.group, "local": f"{len(question.text.split()):02d}-{_local_group(question)}"},
        "answer": question.answer,
        "annotations": {
            "answer": {},
            "question": _annotate(question, question.text),
            "fullAnswer": _annotate(question, full_answer),
        },
        "types": {"detailed": detailed, "semantic": semantic, "structural": structural},
        "fullAnswer": full_answer,
    }


def _local_group(question: GqaQuestion) -> str:
    """The local group: shape of the question's first thing, and the argument of its last step."""
    noun, last = question.program[0].argument.split()[0], question.program[-1]
    asked = last.operation if last.argument in ("", "?") else last.argument.split(" (")[0]
    return f"{noun}_{asked}"


def _annotate(question: GqaQuestion, text: str) -> dict[str, str]:
    """Position (word index from 0) of every noun that names a thing -> the thing's id."""
    words = text.lower()
    places: dict[str, str] = {}
    for one in question.about:
        start = words.find(one.the)
        while start >= 0:
            places[str(words.count(" ", 0, start + len(one.the)))] = one.object_id
            start = words.find(one.the, start + 1)
    return places
