"""The tokenizer without Java: equal to the official one on the captions that it accepts; and those that it rejects."""

from __future__ import annotations

import random

import pytest

from vlrouting.metrics.caption_plain import ABBREVIATIONS, SPLIT_WORDS, tokenize_plain
from vlrouting.metrics.caption_tokens import tokenize_officially, tokenize_without_java

TEXT = """
a A an the The two is of on in it I x THE NO no Mr mr vs etc us US colour grey theatre centre dont its Im ok hmm
cat cats dog red RED Red circle circles square triangle left right above below small large blue green McDonald
iPhone WiFi tv TV man woman child children standing sitting riding skateboard pm am st nd th zzz and or not
there these some many none January january Monday mon May
"""
WORDS = TEXT.split()
NUMBERS = ["0", "1", "2", "10", "42", "007", "1999", "100000"]
MARKS = [".", ",", ";", "!", "?"]


def random_captions(count: int) -> list[str]:
    """Captions of every form that is plain, and of some that are not."""
    draw = random.Random(0)

    def chunk() -> str:
        kind = draw.random()
        if kind < 0.08:
            return draw.choice(MARKS)
        if kind < 0.16:
            return draw.choice(NUMBERS)
        word = draw.choice([*WORDS, draw.choice(sorted(ABBREVIATIONS))])
        word = draw.choice([word, word, word.upper(), word.capitalize()])
        return word + (draw.choice(MARKS) if draw.random() < 0.25 else "")

    gaps = [" ", " ", " ", "  ", "\t", " \t "]
    return [
        "".join(chunk() + draw.choice(gaps) for _ in range(draw.randint(0, 9))) + draw.choice(["", "."])
        for _ in range(count)
    ]


def test_accepted_captions_have_the_official_tokens() -> None:
    plain = [caption for caption in random_captions(12_000) if tokenize_plain(caption) is not None]
    assert len(plain) > 6_000
    captions = {number: [caption] for number, caption in enumerate(plain)}
    assert tokenize_without_java(captions) == tokenize_officially(captions)


def test_abbreviations_without_a_period_have_the_official_tokens() -> None:
    """Without a period, an abbreviation is an ordinary word."""
    captions = {word: [f"{word} a {word.upper()}, {word.title()}! {word} . 5 {word}"] for word in ABBREVIATIONS}
    assert tokenize_without_java(captions) == tokenize_officially(captions)


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("", ""),
        ("  \t ", ""),
        ("A Man.", "a man"),
        ("a red circle, a blue square; and more!", "a red circle a blue square and more"),
        ("a . , ! ? ; b", "a b"),
        ("2 cats and 3 dogs", "2 cats and 3 dogs"),
        ("COLOUR Grey", "colour grey"),
        ("sit. stay. I, robot", "sit stay i robot"),
    ],
)
def test_plain_captions(caption: str, tokens: str) -> None:
    assert tokenize_plain(caption) == tokens


@pytest.mark.parametrize(
    "caption",
    [
        "a man's hat", "don't", "t-shirt", "a - b", "and/or", '"quoted"', "(a)", "a: b", "50%", "$5", "a & b", "#1",
        "a@b", "a_b", "a*b", "<a", "[a]", "a|b", "a=b", "a+b", "~", "`a`", "a\\b", "{a}", "^",
        "1.5", "1,000", "3.", "2nd", "4x4", "x2", "555 123 4567", "20 30", "1 1",
        "e.g. this", "U.S", "a.b", "no,yes", "wow!!", "what?!", "end..", "end...", ".a", ",a", "a.,",
        "vitamin c.", "plan B. works", "Main St.", "Mr. Smith", "no. 5", "etc.", "MISS.",
        "cannot", "Gonna go", "WANNA", "gotta, go", "lemme", "gimme.",
        "café", "naïve", "\ufb01", "\u0663", "a\u00a0b", "a\u3000b", "a\u200bb", "a\x1cb", "a\x85b", "a\nb", "a\rb",
        "a\x00", "\u212a", "😀",
    ],
)  # fmt: skip
def test_captions_that_need_the_official_tokenizer_are_rejected(caption: str) -> None:
    assert tokenize_plain(caption) is None


def test_a_rejected_caption_is_reported_with_its_image() -> None:
    with pytest.raises(ValueError, match=r"image 02: \"it's\" needs the official tokenizer"):
        tokenize_without_java({1: ["a"]}, {1: ["b"], "02": ["c", "it's"]})


def test_rejected_words_are_special_to_the_official_tokenizer() -> None:
    """For each rejected word there is a context in which it is special."""
    around = ["{}.", "x {}. y", "x {}. The y", "x {}. 5"]
    spellings = [str.lower, str.upper, str.capitalize]
    words = sorted({*ABBREVIATIONS, *"abcdefghijklmnopqrstuvwxyz"})
    captions = {word: [text.format(spell(word)) for text in around for spell in spellings] for word in words}
    tokens = tokenize_officially(captions)[0]
    special = {word for word in words if any(f"{word}." in text.split() for text in tokens[word])}
    assert special == set(words)
    split = tokenize_officially({word: [word] for word in SPLIT_WORDS})[0]
    assert all(text != word for word, (text,) in split.items())
