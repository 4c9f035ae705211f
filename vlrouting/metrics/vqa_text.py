"""How the VQA evaluation normalises an answer, its quirks included.

The rules are those of https://github.com/GT-Vision-Lab/VQA (vqaEval.py). Published numbers were made with them, so a
quirk is kept, and named where it is.
"""

from __future__ import annotations

import json
import re
from importlib import resources

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
"""Not in it, and so kept: ' : . $ % & # * ~ and every typographic quote."""

DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
"""Any script's digits: in Python 3 the official pattern is a Unicode one."""

# The official pattern opens with "(?!<=\d)", a misspelt look-behind that always holds. So "2." and "a.b" lose their
# period, and only a period before a digit stays.
REMOVABLE_PERIOD = re.compile(r"\.(?!\d)")

# The official code hands re.UNICODE (32) to the parameter `count`: later periods stay.
PERIODS_REMOVED_AT_MOST = 32

ARTICLES = frozenset({"a", "an", "the"})
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBER_WORDS = {"none": "0"} | {word: str(number) for number, word in enumerate(_DIGITS)}

CONTRACTIONS: dict[str, str] = json.loads(
    resources.files("vlrouting.metrics").joinpath("vqa_contractions.json").read_text(encoding="utf-8")
)
"""The official table. Keys with a capital ("Im", "Ive") never match, for words are in lower case when looked up."""


def strip_whitespace(text: str) -> str:
    """`text` on one line: newline and tab become spaces, and the ends are stripped."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def replace_punctuation(text: str) -> str:
    """`text` without punctuation: each mark of `PUNCTUATION` is deleted or becomes one space, then periods go.

    A mark that touches a space anywhere in the text is deleted everywhere in it. A digit,digit anywhere ("1,000")
    deletes every mark: "red/blue 1,000" becomes "redblue 1000", while "red/blue" becomes "red blue".
    """
    delete_all = DIGIT_COMMA_DIGIT.search(text) is not None
    replaced = text
    for mark in PUNCTUATION:
        touches_space = f"{mark} " in text or f" {mark}" in text
        replaced = replaced.replace(mark, "" if delete_all or touches_space else " ")
    return REMOVABLE_PERIOD.sub("", replaced, count=PERIODS_REMOVED_AT_MOST)


def normalize_words(text: str) -> str:
    """`text` in lower case, word by word: none and zero..ten as digits, no articles, contractions with apostrophe.

    Words are parted by any Unicode whitespace and joined by one space.
    """
    words = (NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def normalize_answer(text: str) -> str:
    """The full normalisation of an answer: one line, punctuation, numbers, articles, contractions.

    The result may be empty ("a" becomes ""). Source: vqaEval.py, processPunctuation and processDigitArticle.
    """
    return normalize_words(replace_punctuation(strip_whitespace(text)))
