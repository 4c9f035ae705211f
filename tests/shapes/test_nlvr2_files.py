"""Statements about two images: the evaluator confirms the labels, and neither text nor images alone predict them."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest

from tools.shapes_evaluator.evaluator import statement_is_true
from tools.shapes_evaluator.meaning import NotUnderstood
from vlrouting.shapes.nlvr2_files import Pair, sentence_set
from vlrouting.shapes.scene import Scene, Thing


@pytest.fixture(scope="module")
def said() -> list[tuple[dict[str, Any], Pair]]:
    random = Random(0)
    found = []
    for number in range(200):
        records, pairs = sentence_set("train", number, random, held_out=False)
        by_name = {pair.name: pair for pair in pairs}
        assert len(by_name) == 4 and len(records) == 16
        found += [(record, by_name[record["identifier"].rsplit("-", 1)[0]]) for record in records]
    return found


def test_every_label_is_correct(said: list[tuple[dict[str, Any], Pair]]) -> None:
    for record, pair in said:
        assert record["label"] == str(statement_is_true(record["sentence"], pair.left, pair.right)), record


def test_statements_are_true_of_half_their_pairs(said: list[tuple[dict[str, Any], Pair]]) -> None:
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record, _ in said:
        _, number, _, turn = record["identifier"].split("-")
        labels[number, turn].append(record["label"])
    assert len(labels) == 800
    assert all(Counter(four) == {"True": 2, "False": 2} for four in labels.values())


def test_half_of_the_statements_about_a_pair_are_true(said: list[tuple[dict[str, Any], Pair]]) -> None:
    labels: dict[str, list[str]] = defaultdict(list)
    for record, pair in said:
        labels[pair.name].append(record["label"])
    assert len(labels) == 800
    assert all(Counter(four) == {"True": 2, "False": 2} for four in labels.values())


def test_the_statements_of_a_set_are_different(said: list[tuple[dict[str, Any], Pair]]) -> None:
    sentences: dict[str, set[str]] = defaultdict(set)
    for record, _ in said:
        sentences[record["identifier"].split("-")[1]].add(record["sentence"])
    assert all(len(four) == 4 for four in sentences.values())


def test_most_statements_are_about_presence_and_every_form_occurs(said: list[tuple[dict[str, Any], Pair]]) -> None:
    sentences = [record["sentence"] for record, _ in said]
    assert 0.6 < sum(text.startswith(("An ", "Both")) for text in sentences) / len(sentences) < 0.8
    forms = ["An image", "Both images", "Exactly one", "Neither", "The left image shows", "more", "fewer"]
    forms += ["same number", "exactly two", "and the right image", "All shapes in the right", "In the left image"]
    assert all(any(form in text for text in sentences) for form in forms)


def test_training_never_shows_or_names_a_held_out_combination(said: list[tuple[dict[str, Any], Pair]]) -> None:
    for record, pair in said:
        assert not any(thing.held_out for scene in (pair.left, pair.right) for thing in scene.things)
        assert "red triangle" not in record["sentence"] and "green star" not in record["sentence"]
    random = Random(1)
    shown = [
        any(thing.held_out for thing in scene.things)
        for number in range(100)
        for pair in sentence_set("test", number, random, held_out=True)[1]
        for scene in (pair.left, pair.right)
    ]
    assert 0.3 < sum(shown) / len(shown) < 0.7


def test_a_negated_statement_has_the_other_label(said: list[tuple[dict[str, Any], Pair]]) -> None:
    opposite = {"Both images show": "Neither image shows", "more": "fewer", "exactly one": "exactly three"}
    tried = Counter[str]()
    for record, pair in said:
        for word, lie in opposite.items():
            if record["label"] == "True" and word in record["sentence"]:
                changed = record["sentence"].replace(word, lie)
                assert not statement_is_true(changed, pair.left, pair.right), changed
                tried[word] += 1
    assert min(tried[word] for word in opposite) > 5


LEFT = Scene((Thing("red", "circle", "large", 0, 0, 0.0, 0.0), Thing("blue", "star", "large", 1, 1, 0.0, 0.0)))
RIGHT = Scene((Thing("red", "circle", "small", 2, 2, 0.0, 0.0),))


@pytest.mark.parametrize(
    ("sentence", "true"),
    [
        ("Both images show a red circle.", True),
        ("Exactly one image shows a red circle.", False),
        ("An image shows a star.", True),
        ("Neither image shows a star.", False),
        ("The left image has more shapes than the right image.", True),
        ("The left image has more circles than the right image.", False),
        ("The two images have the same number of circles.", True),
        ("There are exactly three shapes in the two images.", True),
        ("There is exactly one circle in the two images.", False),
        ("The left image shows a star and the right image shows a circle.", True),
        ("The left image shows a circle and the right image shows a star.", False),
        ("All shapes in the left image are large.", True),
        ("All shapes in the right image are large.", False),
        ("In the left image a red shape is above a star.", True),
        ("In the right image a red shape is above a star.", False),
    ],
)
def test_hand_written_statements(sentence: str, true: bool) -> None:
    assert statement_is_true(sentence, LEFT, RIGHT) == true


def test_unknown_statements_are_rejected() -> None:
    with pytest.raises(NotUnderstood, match="dogs"):
        statement_is_true("Both images show dogs.", LEFT, RIGHT)
