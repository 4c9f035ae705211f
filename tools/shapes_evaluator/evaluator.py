"""Decides whether a text is true of a scene: captions, answers, full answers, and statements about two images.

It parses the text and shares no code with the modules that generate it, so that each can be tested against the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tools.shapes_evaluator.caption_meaning import caption_holds
from tools.shapes_evaluator.meaning import (
    NOUN,
    NOUNS,
    NUMBERS,
    RELATION,
    SIZE,
    NotUnderstood,
    count,
    kind,
    related,
    the,
)
from tools.shapes_evaluator.question_meaning import answer
from vlrouting.shapes.scene import Scene


def caption_is_true(text: str, scene: Scene) -> bool:
    """Whether a caption is correct about every thing it mentions, and covers all things of the scene.

    Any text may be given: a text that is not in the language of this world is not true.
    """
    try:
        return caption_holds(_plain(text), scene)
    except NotUnderstood:
        return False


def true_answer(question: str, scene: Scene) -> str:
    """The answer to a question.

    Raises:
        NotUnderstood: the question is not in the language of this world, or has no unique answer in this scene.
    """
    return answer(_plain(question), scene)


def answer_is_true(question: str, given: str, scene: Scene) -> bool:
    """Whether the answer is exactly the correct one.

    Raises:
        NotUnderstood: as `true_answer`.
    """
    return true_answer(question, scene) == given


def full_answer_is_true(text: str, scene: Scene) -> bool:
    """Whether a sentence that answers a question is true. Most sentences are converted to a yes-or-no question.

    Raises:
        NotUnderstood: the sentence is not in the language of this world.
    """
    words = re.sub(r"^(?:yes|no), ", "", _plain(text))
    match = re.fullmatch(rf"an? ({NOUN}) is ({RELATION}) the ({NOUN})", words)
    if match:
        anchor = the(match[3], scene)
        return any(kind(match[1])(thing) and related(match[2], thing, anchor) for thing in scene.things)
    denied = " not " in words or " no " in words
    for pattern, question in _TURNED.items():
        match = re.fullmatch(pattern, words.replace(" not ", " ").replace(" no ", " a "))
        if match:
            return (answer(question.format(*match.groups()), scene) == "no") == denied
    raise NotUnderstood(f"'{text}'")


def statement_is_true(text: str, left: Scene, right: Scene) -> bool:
    """Whether a statement about two images is true.

    Raises:
        NotUnderstood: the statement is not in the language of this world.
    """
    for pattern, holds in _STATEMENTS.items():
        match = re.fullmatch(pattern, _plain(text))
        if match:
            return holds({"left": left, "right": right}, *match.groups())
    raise NotUnderstood(f"'{text}'")


def _plain(text: str) -> str:
    """In lower case, without the final mark, with single spaces and none before punctuation."""
    return re.sub(r" ([,:.?])", r"\1", " ".join(text.lower().split())).rstrip(".?")


_TURNED = {
    r"the (.+) is (.+)": "is the {0} {1}",
    rf"there is an? ({NOUN})": "is there a {0}",
    r"there are (.+)": "are there {0}",
    r"the (.+) have (.+)": "do the {0} have {1}",
}
"""Pattern of a full answer, without its `not` -> the question that it answers with yes."""

Pair = dict[str, Scene]


def _show(pair: Pair, words: str, noun: str) -> bool:
    """Whether `an` image, `both`, `exactly one` or `neither` of the two shows the noun."""
    showing = sum(count(noun, scene) > 0 for scene in pair.values())
    return showing in {"both": (2,), "exactly one": (1,), "an": (1, 2), "neither": (0,)}[words]


def _compare(pair: Pair, word: str, nouns: str) -> bool:
    left, right = count(nouns, pair["left"]), count(nouns, pair["right"])
    return left > right if word == "more" else left < right


def _total(pair: Pair, number: str, nouns: str) -> bool:
    return sum(count(nouns, scene) for scene in pair.values()) == NUMBERS[number]


def _beside(pair: Pair, side: str, first: str, how: str, second: str) -> bool:
    things = pair[side].things
    return any(kind(first)(a) and kind(second)(b) and related(how, a, b) for a in things for b in things)


_STATEMENTS: dict[str, Callable[..., bool]] = {
    rf"(an|both|exactly one|neither) images? shows? an? ({NOUN})": _show,
    rf"the (left|right) image shows an? ({NOUN})": lambda pair, side, noun: count(noun, pair[side]) > 0,
    rf"the left image has (more|fewer) ({NOUNS}) than the right image": _compare,
    rf"the two images have the same number of ({NOUNS})": lambda pair, nouns: (
        count(nouns, pair["left"]) == count(nouns, pair["right"])
    ),
    rf"there (?:is|are) exactly (\w+) ({NOUN}|{NOUNS}) in the two images": _total,
    rf"the left image shows an? ({NOUN}) and the right image shows an? ({NOUN})": lambda pair, a, b: (
        count(a, pair["left"]) > 0 and count(b, pair["right"]) > 0
    ),
    rf"all shapes in the (left|right) image are ({SIZE})": lambda pair, side, size: (
        count(size, pair[side]) == len(pair[side].things)
    ),
    rf"in the (left|right) image an? ({NOUN}) is ({RELATION}) an? ({NOUN})": _beside,
}
"""Pattern of a statement -> whether it holds."""
