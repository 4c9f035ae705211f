"""Prompts and texts to a batch: what is learnt, where it is padded, how it ends."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.data.loading.test_batch import Source
from tests.tiny_backbones import byte_tokenizer, word_tokenizer
from vlrouting.config import DataConfig
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.batch import IGNORED
from vlrouting.data.loading.text_batch import SourceTargetCollate, TextCollate

TOKENIZER = byte_tokenizer()
END = TOKENIZER.eos_token_id


def ids(text: str) -> list[int]:
    found: list[int] = TOKENIZER(text)["input_ids"]
    return found


def example(answer: str, text: str = "") -> Example:
    return Example(1, (), text, {}, answer=answer)


def collate(targets: bool = True, prefixed: bool = True, **data: object) -> TextCollate:
    return TextCollate(TOKENIZER, DataConfig(**data), prefixed=prefixed, targets=targets)  # type: ignore[arg-type]


def test_a_caption_and_one_end_token_are_learnt() -> None:
    batch = collate()([example("a cat"), example("dogs run")])
    short, long = [*ids("a cat"), END], [*ids("dogs run"), END]
    assert batch["labels"].tolist() == [[*short, *[IGNORED] * 3], long]
    assert batch["input_ids"].tolist() == [[*short, 0, 0, 0], long]
    assert batch["attention_mask"].tolist() == [[1] * 6 + [0] * 3, [1] * 9]


def test_without_an_image_a_caption_begins_with_a_start_token_that_is_not_learnt() -> None:
    batch = collate(prefixed=False)([example("a")])
    assert batch["input_ids"].tolist() == [[END, *ids("a"), END]]
    assert batch["labels"].tolist() == [[IGNORED, *ids("a"), END]]
    asked = collate(prefixed=False, targets=False)([example("a")])
    assert asked["input_ids"].tolist() == [[END]] and asked.get("labels") is None


@pytest.mark.parametrize("prefixed", [True, False])
def test_an_answer_follows_its_question_with_a_space_and_alone_is_learnt(prefixed: bool) -> None:
    batch = collate(prefixed=prefixed, prompt="Q: {text} A:")([example("red", "color?")])
    prompt, text = ids("Q: color? A:"), [*ids(" red"), END]
    assert batch["input_ids"].tolist() == [[*prompt, *text]]
    assert batch["labels"].tolist() == [[IGNORED] * len(prompt) + text]


def test_prompts_alone_are_padded_on_the_left() -> None:
    batch = collate(targets=False)([example("", "ab"), example("", "abcd")])
    assert batch["input_ids"].tolist() == [[0, 0, *ids("ab")], ids("abcd")]
    assert batch["attention_mask"].tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert collate(targets=False)([example(""), example("")])["input_ids"].shape == (2, 0)


def test_texts_are_cut_with_their_end_token_counted() -> None:
    long = example("abcdefgh", "12345")
    batch = collate(max_text_tokens=3, max_target_tokens=4)([long])
    assert batch["input_ids"].tolist() == [[*ids("123"), *ids(" ab"), END]]
    assert [label for label in batch["labels"][0].tolist() if label != IGNORED] == [*ids(" ab"), END]


@pytest.mark.parametrize("targets", [True, False])
def test_lengths_are_those_of_the_rows(targets: bool) -> None:
    examples = [example("a cat"), example("red", "what color?"), example("x" * 99)]
    made = collate(targets=targets, prefixed=False, max_target_tokens=20)
    lengths = made.lengths(examples)
    assert lengths.tolist() == [int(made([one])["attention_mask"].sum()) for one in examples]
    if targets:
        assert made.target_tokens(examples).tolist() == [made([one]).target_tokens for one in examples]


def test_images_come_along_and_the_collate_pickles() -> None:
    made = TextCollate(TOKENIZER, DataConfig(), Source("features"), prefixed=True, targets=True)
    one = Example(1, (Path("3.png"),), "", {}, answer="a")
    batch = pickle.loads(pickle.dumps(made))([one])
    assert batch["visual"].unique().tolist() == [3.0]


def test_a_tokenizer_without_an_end_token_is_refused() -> None:
    tokenizer = word_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(DataError, match=r"language\.name: its tokenizer has no end token"):
        TextCollate(tokenizer, DataConfig(), prefixed=True, targets=True)


WORDS = word_tokenizer()


def words(text: str) -> list[int]:
    found: list[int] = WORDS(text)["input_ids"]
    return found


def pairs(targets: bool = True, **data: object) -> SourceTargetCollate:
    return SourceTargetCollate(WORDS, DataConfig(**data), prefixed=True, targets=targets)  # type: ignore[arg-type]


def test_an_encoder_decoder_gets_prompt_and_text_apart_as_the_tokenizer_makes_them() -> None:
    made = pairs(prompt="the {text}", max_text_tokens=6, max_target_tokens=4)
    rows = [example("red", "what color is it ?"), example("red green blue yes", "picture")]
    batch = made(rows)
    pad = WORDS.pad_token_id
    cut = [*words("the what color is it ?")[:5], 2]
    assert batch["input_ids"].tolist() == [cut, [*words("the picture"), pad, pad]]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    # A text that is too long keeps its end token.
    assert batch["labels"].tolist() == [[*words("red"), IGNORED], words("red green")]
    assert made.target_tokens(rows).tolist() == [3, 4] and batch.target_tokens == 7
    assert made.lengths(rows).tolist() == [9, 8]
    asked = pairs(targets=False)(rows)
    assert asked.get("labels") is None and asked["attention_mask"][1].tolist() == [1] * 3 + [0] * 4
    assert pairs()([example("red")])["input_ids"].tolist() == [words("")]
    assert isinstance(pickle.loads(pickle.dumps(made)), SourceTargetCollate)


def test_an_encoder_decoders_tokenizer_has_to_end_a_text() -> None:
    with pytest.raises(DataError, match="ends no text with an end token"):
        SourceTargetCollate(TOKENIZER, DataConfig(), prefixed=True, targets=True)
