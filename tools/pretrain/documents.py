"""Short documents about random scenes: what the mini BART learns to restore. No image is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from vlrouting.shapes import gqa_files, vqa_questions
from vlrouting.shapes.caption_sentences import captions
from vlrouting.shapes.gqa_questions import View
from vlrouting.shapes.nlvr2_files import sentence_set
from vlrouting.shapes.scene import Scene, random_scene

Document = list[tuple[str, str]]
"""Sentences about the same images: each is a text and its answer, which is empty for a caption."""


def documents(random: Random) -> Iterator[Document]:
    """An infinite stream of documents about random scenes, with all combinations of colour and shape.

    A document has one to three sentences about one scene (captions, and questions of VQA and GQA with their answers);
    or a statement about two scenes with its truth value, often after a caption of each; or it is an answer alone.
    """
    while True:
        if random.random() < _STATEMENTS:
            drawn = _statements(random)
        else:
            drawn = iter([_about(random_scene(random, held_out=None), random)])
        for document in drawn:
            answer = document[0][1]
            yield [(answer, "")] if answer and random.random() < _ALONE else document


def _about(scene: Scene, random: Random) -> Document:
    drawn: Document = []
    for source in random.choices(_SOURCES, k=random.choice((1, 2, 2, 3))):
        drawn += [random.choice(source(scene, random))]
    return drawn


def _statements(random: Random) -> Iterator[Document]:
    """One statement of NLVR2 with two of its pairs of scenes, so that it is as often true as false."""
    records, pairs = sentence_set("text", 0, random, held_out=True)
    for statement in range(0, len(records), len(pairs)):
        for record, pair in random.sample(list(zip(records[statement:], pairs, strict=False)), 2):
            said: Document = [(random.choice(captions(scene, random)), "") for scene in (pair.left, pair.right)]
            yield [*(said if random.random() < _WITH_CAPTIONS else []), (record["sentence"], record["label"].lower())]


def _captions(scene: Scene, random: Random) -> Document:
    return [(text, "") for text in captions(scene, random)]


def _gqa(scene: Scene, random: Random) -> Document:
    identifiers = {thing: str(number) for number, thing in enumerate(scene.things)}
    balanced, _ = gqa_files.ask(View(scene, identifiers, random))
    return [(question.text, question.answer) for question in balanced.values()]


_SOURCES: tuple[Callable[[Scene, Random], Document], ...] = (_captions, _captions, vqa_questions.ask, _gqa)
_STATEMENTS = 0.02
"""Probability that a set of statements comes next; it makes eight documents."""
_WITH_CAPTIONS = 0.7
_ALONE = 0.25
"""Probability that a document that starts with a question is its answer alone, so that texts start with answers too."""
