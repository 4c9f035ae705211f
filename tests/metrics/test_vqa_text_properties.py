"""What holds for the normalisation of every answer, and for the accuracy of every set of ten."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrouting.data.datasets.vqav2 import normalize_answer as vocabulary_entry
from vlrouting.metrics.vqa_accuracy import vqa_accuracy
from vlrouting.metrics.vqa_text import CONTRACTIONS, normalize_answer

quick = settings(derandomize=True, deadline=None, max_examples=200)
WORDS = st.sampled_from(
    ["a", "The", "two", "none", "T-shirt", "dont", "isnt", "1,000", "2.5", "red/blue", "", "wow!", "b.c", "café", "Im"]
)
ANSWERS = st.one_of(st.lists(WORDS, max_size=5).map(" ".join), st.text(max_size=12))


@quick
@given(ANSWERS)
def test_a_normalised_answer(answer: str) -> None:
    found = normalize_answer(answer)
    words = found.split(" ") if found else []
    assert all(words) and not {"a", "an", "the"} & set(words)  # one space between words, no articles
    assert not set(found) & set('\n\t;/[]"{}()=+\\_-><@`?!')
    assert not set(words) & (CONTRACTIONS.keys() - set(CONTRACTIONS.values()))  # each has its apostrophe
    assert all(word in CONTRACTIONS.values() or word == word.lower() for word in words)


@quick
@given(ANSWERS, st.sampled_from([" ", "\n", "\t", "  "]))
def test_what_makes_no_difference(answer: str, space: str) -> None:
    found = normalize_answer(answer)
    assert normalize_answer(f"{space}{answer}{space}") == found
    assert normalize_answer(f"the {answer.strip()}") == found or set(answer) & set(",") or not answer.isascii()
    assert "," not in vocabulary_entry(answer) and vocabulary_entry(answer) == found.replace(",", "")


@quick
@given(st.lists(WORDS, min_size=10, max_size=10), WORDS)
def test_accuracy_counts_annotators(answers: list[str], prediction: str) -> None:
    """Against the definition: the mean, over the ten sets of nine, of min(1, matches / 3)."""
    if len({answer.strip() for answer in answers}) > 1:
        truth, guess = [normalize_answer(answer) for answer in answers], normalize_answer(prediction)
    else:
        truth, guess = [answer.strip() for answer in answers], prediction.strip()
    matches = [sum(other == guess for other in truth[:left] + truth[left + 1 :]) for left in range(10)]
    expected = sum(min(1, count / 3) for count in matches) / 10
    assert vqa_accuracy(prediction, answers) == pytest.approx(expected)
    assert vqa_accuracy(prediction, answers) == pytest.approx(min(1, 0.3 * Counter(truth)[guess]))
    assert vqa_accuracy(prediction, list(reversed(answers))) == pytest.approx(expected)
