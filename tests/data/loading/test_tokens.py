"""Tokens of many texts in a few buffers: the same as the tokenizer's, whatever was asked before."""

from __future__ import annotations

import pickle
from multiprocessing import get_context

import pytest

from tests.data.datasets.official_files import QUESTIONS
from tests.data.loading.tiny_tokenizer import tiny_tokenizer
from vlrouting.data.loading import token_table
from vlrouting.data.loading.tokens import Tokens

TEXTS = [text for text, _ in QUESTIONS] + ["is", "", "what what", "caf\u00e9", "half a pair: \ud83d"]


class Counting:
    """The tiny tokenizer, which remembers what it was asked."""

    pad_token_id = 0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: list[str], **options: object) -> dict[str, list[list[int]]]:
        self.asked += text
        return {"input_ids": [[len(word) for word in one.split()] for one in text]}


@pytest.mark.parametrize("special", [True, False])
def test_the_tokens_are_the_tokenizers(special: bool) -> None:
    texts = TEXTS[:-1]  # this tokenizer takes whole characters only
    expected = tiny_tokenizer()(texts, truncation=True, max_length=6, add_special_tokens=special)["input_ids"]
    kept = Tokens(tiny_tokenizer(), 6, special)
    assert [list(kept.of(text)) for text in texts] == expected  # not remembered
    kept.lengths(texts[3:])
    kept.lengths(texts)
    assert [list(kept.of(text)) for text in texts] == expected
    assert kept.lengths(texts[::-1]).tolist() == [len(row) for row in expected[::-1]]


def test_every_text_is_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_table, "BLOCK", 3)
    counting = Counting()
    kept = Tokens(counting, 9)
    many = [f"{'a ' * (number % 7)}question {number}" for number in range(50)]
    lengths = kept.lengths(iter([*many, *many[:20], *TEXTS])).tolist()
    assert lengths[:50] == [number % 7 + 2 for number in range(50)] and lengths[50:70] == lengths[:20]
    kept.lengths(many)
    assert kept.lengths(many[7:9]).tolist() == lengths[7:9]
    assert sorted(counting.asked) == sorted([*many, *TEXTS])
    assert [list(kept.of(text)) for text in many] == [[1] * (n % 7) + [8, len(str(n))] for n in range(50)]
    assert len(counting.asked) == len(many) + len(TEXTS)  # looking up tokenises nothing
    assert list(kept.of("never seen")) == [5, 4] and len(counting.asked) == len(many) + len(TEXTS) + 1


def test_nothing_to_remember() -> None:
    kept = Tokens(Counting(), 9)
    assert kept.lengths([]).tolist() == kept.lengths([]).tolist() == [] and list(kept.of("")) == []


def test_in_another_process() -> None:
    kept = Tokens(Counting(), 9)
    kept.lengths(TEXTS)
    with get_context("fork").Pool(1) as pool:
        assert pool.apply(kept.lengths, (TEXTS,)).tolist() == kept.lengths(TEXTS).tolist()
    assert pickle.loads(pickle.dumps(kept)).of("what what") == kept.of("what what")


def test_a_text_takes_fifty_bytes() -> None:
    """As a dictionary of arrays it would take some three hundred, and every worker would copy them."""
    counting = Counting()
    kept = Tokens(counting, 9)
    kept.lengths(f"is it thing {number} that is there" for number in range(20_000))
    counting.asked.clear()
    assert len(pickle.dumps(kept)) < 20_000 * 50  # seven tokens among them
