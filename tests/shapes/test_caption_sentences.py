"""Captions: five true, different, short references; and the evaluator, which must detect every false caption."""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

import pytest

from tools.shapes_evaluator.evaluator import caption_is_true
from vlrouting.shapes.caption_sentences import captions
from vlrouting.shapes.scene import COLORS, Scene, Thing, random_scene

SWAPS = {
    "left": "right",
    "right": "left",
    "above": "below",
    "below": "above",
    "top": "bottom",
    "bottom": "top",
    "small": "large",
    "large": "small",
    "one": "two",
    "two": "three",
    "three": "four",
    "four": "two",
    "circle": "cross",
    "square": "star",
}


@pytest.fixture(scope="module")
def captioned() -> list[tuple[Scene, list[str]]]:
    random = Random(0)
    scenes = [random_scene(random, None) for _ in range(600)]
    return [(scene, captions(scene, random)) for scene in scenes]


def test_every_caption_is_true(captioned: list[tuple[Scene, list[str]]]) -> None:
    wrong = [caption for scene, given in captioned for caption in given if not caption_is_true(caption, scene)]
    assert not wrong


def test_captions_of_another_scene_are_not_true(captioned: list[tuple[Scene, list[str]]]) -> None:
    """Captions with the sizes, colours and shapes of all things are true of no scene with other things."""
    for (scene, given), (other, _) in pairwise(captioned):
        looks, others = (sorted((t.size, t.color, t.shape) for t in some.things) for some in (scene, other))
        for caption in given:
            if looks != others and re.match("(a picture of )?(an?|two|three|four) (small|large)", caption.lower()):
                assert not caption_is_true(caption, other), caption


def test_five_different_short_sentences(captioned: list[tuple[Scene, list[str]]]) -> None:
    for _, given in captioned:
        assert len(given) == len(set(given)) == 5
        for caption in given:
            assert len(caption.split()) <= 25 and re.fullmatch(r"[A-Z][a-z ,:]+\.", caption), caption


def test_the_vocabulary_is_small(captioned: list[tuple[Scene, list[str]]]) -> None:
    words = {word for _, given in captioned for caption in given for word in re.findall(r"[a-z]+", caption.lower())}
    assert 50 <= len(words) < 80


def test_a_swapped_word_makes_a_caption_false(captioned: list[tuple[Scene, list[str]]]) -> None:
    tried = dict.fromkeys(SWAPS, 0)
    for scene, given in captioned:
        if len({(thing.color, thing.shape) for thing in scene.things}) < len(scene.things):
            continue  # "the" thing is ambiguous if two things look alike
        for caption in given:
            for word, lie in SWAPS.items():
                if word in ("small", "large") and "of them" in caption:
                    continue  # if two of four are large, two are small
                changed = re.sub(rf"\b{word}\b", lie, caption, flags=re.IGNORECASE)
                if changed != caption:
                    assert not caption_is_true(changed, scene), changed
                    tried[word] += 1
    assert min(tried.values()) > 10, tried


def test_a_changed_color_makes_a_caption_false(captioned: list[tuple[Scene, list[str]]]) -> None:
    for scene, given in captioned:
        shown = {thing.color for thing in scene.things}
        absent = next(color for color in COLORS if color not in shown)
        for caption in given:
            for color in shown:
                changed = re.sub(rf"\b{color}\b", absent, caption, flags=re.IGNORECASE)
                assert changed == caption or not caption_is_true(changed, scene), changed


SCENE = Scene(
    (
        Thing("red", "circle", "large", 0, 0, 0.0, 0.0),
        Thing("blue", "square", "small", 0, 2, 0.0, 0.0),
        Thing("red", "star", "small", 2, 1, 0.0, 0.0),
    )
)


@pytest.mark.parametrize(
    "caption",
    [
        "A large red circle, a small blue square and a small red star.",
        "a small red star , a large red circle and a small blue square",
        "There are three shapes: a red circle, a blue square and a red star.",
        "A red circle is to the left of a blue square, which is above a red star.",
        "A circle and a square at the top, and a red star at the bottom.",
        "A red circle on the left, a red star in the center column and a blue square on the right.",
        "The picture shows a star, a circle and a square.",
        "Three shapes, one of them large.",
        "The shapes are red and blue.",
    ],
)
def test_hand_written_true_captions(caption: str) -> None:
    assert caption_is_true(caption, SCENE)


@pytest.mark.parametrize(
    "caption",
    [
        "A large red circle and a small blue square.",  # misses one thing
        "A red circle, a blue square, a red star and a red star.",
        "Two red circles and a blue square.",
        "There are two shapes: a red circle, a blue square and a red star.",
        "A blue square is to the left of a red circle, which is above a red star.",
        "A red circle is below a blue square, which is above a red star.",  # they are in one row
        "A circle, a square and a red star at the top.",
        "A red circle in the center column, a red star on the left and a blue square on the right.",
        "All shapes are red.",
        "The shapes are red, blue and green.",
        "The shapes are red.",
        "Three shapes, two of them large.",
        "Three stars, one red and one blue.",
        "A large red circle, a small blue square and a small red",
        "A red circle is above",
        "to its left",
        "A red dog is riding a horse.",
        "",
    ],
)
def test_hand_written_false_or_unknown_captions(caption: str) -> None:
    assert not caption_is_true(caption, SCENE)
