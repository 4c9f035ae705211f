"""Answer normalisation of the VQA evaluation, including its quirks.

The rules are those of https://github.com/GT-Vision-Lab/VQA (vqaEval.py). The quirks are kept, because published numbers
depend on them; comments name them.
"""

from __future__ import annotations

import json
import re
from importlib import resources

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
"""Other marks are kept: ' : . $ % & # * ~ and typographic quotes."""

DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
"""Digits of any script, because the official pattern is a Unicode pattern in Python 3."""

# The official pattern starts with "(?!<=\d)", a misspelt look-behind that always matches. Therefore "2." and "a.b" lose
# their period, and only a period before a digit stays.
REMOVABLE_PERIOD = re.compile(r"\.(?!\d)")

# The official code passes re.UNICODE (32) as the parameter `count`: later periods stay.
PERIODS_REMOVED_AT_MOST = 32

ARTICLES = frozenset({"a", "an", "the"})
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBER_WORDS = {"none": "0"} | {word: str(number) for number, word in enumerate(_DIGITS)}

CONTRACTIONS: dict[str, str] = json.loads(
    resources.files("vlrouting.metrics").joinpath("vqa_contractions.json").read_text(encoding="utf-8")
)
"""The official table. Keys with a capital ("Im", "Ive") never match, because words are in lower case."""


def strip_whitespace(text: str) -> str:
    """`text` on one line: newline and tab become spaces, and the ends are stripped."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def replace_punctuation(text: str) -> str:
    """`text` without punctuation: each mark of `PUNCTUATION` is deleted or replaced by a space; periods are deleted.

    A mark that is next to a space anywhere in the text is deleted everywhere. If "digit,digit" occurs ("1,000"), all
    marks are deleted: "red/blue 1,000" becomes "redblue 1000", but "red/blue" becomes "red blue".
    """
    delete_all = DIGIT_COMMA_DIGIT.search(text) is not None
    replaced = text
    for mark in PUNCTUATION:
        touches_space = f"{mark} " in text or f" {mark}" in text
        replaced = replaced.replace(mark, "" if delete_all or touches_space else " ")
    return REMOVABLE_PERIOD.sub("", replaced, count=PERIODS_REMOVED_AT_MOST)


def normalize_words(text: str) -> str:
    """`text` in lower case: `none` and `zero` … `ten` as digits, without articles, contractions with apostrophe.

    Words are split at any Unicode whitespace and joined by one space.
    """
    words = (NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def normalize_answer(text: str) -> str:
    """The full normalisation of an answer: whitespace, punctuation, numbers, articles, contractions.

    The result may be empty ("a" becomes ""). Source: vqaEval.py, processPunctuation and processDigitArticle.
    """
    return normalize_words(replace_punctuation(strip_whitespace(text)))
