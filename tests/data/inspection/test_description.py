"""What is kept of a split for the report, and the file that keeps it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from vlrouting.data.example import Example
from vlrouting.data.inspection import description
from vlrouting.data.inspection.data_file import MOST_BYTES, DataRecord, read_data_record, write_data_record
from vlrouting.data.inspection.description import LONGEST, Lengths, TokenCounter, describe, shown_examples
from vlrouting.experiment import UserError


def asked(count: int) -> list[Example]:
    """Answer `a0` to one question in two, `a1` to one in four, …"""
    texts = [" ".join(["word"] * (1 + number % 5)) for number in range(count)]
    answers = [f"a{(number & -number).bit_length()}" for number in range(1, count + 1)]
    return [
        Example(number, (Path(f"{number // 2}.png"),), text, {answer: 1.0}, (answer,), answer=answer)
        for number, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]


def test_counts_lengths_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description, "TOP_ANSWERS", 2)
    found = describe("train", asked(16), ["train"])
    assert (found.examples, found.described, found.images, found.questions, found.captions) == (16, 16, 8, 16, 0)
    assert found.top_answers == {"a1": 8, "a2": 4} and (found.distinct_answers, found.other_answers) == (5, 4)
    (words,) = found.lengths
    assert words.counts == {1: 4, 2: 3, 3: 3, 4: 3, 5: 3} and (words.least, words.most) == (1, 5)
    assert words.mean == pytest.approx(46 / 16)


def test_a_large_split_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description, "MOST_DESCRIBED", 8)
    monkeypatch.setattr(description, "MOST_TOKENIZED", 4)
    counted: list[int] = []

    def count(examples: Sequence[Example]) -> list[int]:
        counted.extend(int(example.id) for example in examples)
        return [9, 20, 30, 30]

    found = describe("train", asked(16), (), TokenCounter(count, 20, "data.max_text_tokens"))
    assert (found.examples, found.described, found.questions) == (16, 8, 8)
    assert found.top_answers == {"a1": 8}  # every other one
    assert counted == [0, 4, 8, 12]
    assert found.lengths[1].counts == {9: 1, 20: 1, 30: 2} and found.lengths[1].over_limit == 0.5


def test_very_long_texts_share_a_place() -> None:
    lengths = Lengths.of("words", Counter({3: 2, LONGEST: 1, LONGEST + 1: 1, 10_000: 1}))
    assert lengths.counts == {3: 2, LONGEST: 3} and lengths.most == 10_000


def test_references_of_an_example() -> None:
    votes = Example(1, (), "?", {"yes": 1.0}, ("no", "yes", "yes"), answer="yes")
    scored = Example(2, (), "?", {"no": 0.3, "yes": 0.9})
    captions = Example(3, (), "", {}, ("a dog", "a cat"))
    first, second, third = shown_examples([votes, scored, captions], 3)
    assert first.references == (("yes", 2), ("no", 1)) and second.references == (("yes", 1), ("no", 1))
    assert third.references == (("a dog", 1), ("a cat", 1))


def record(examples: Sequence[Example]) -> DataRecord:
    tokens = TokenCounter(lambda some: [7] * len(some), 5, "data.max_text_tokens")
    splits = (describe("train", examples, ["train"], tokens), describe("test", examples[:4], ["test"]))
    return DataRecord("vqav2", splits, tuple(shown_examples(examples, 12)))


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    written = record([*asked(40), Example("half \ud800", (), "漢字 😀", {"\x00": 1.0}, answer="\x00")])
    write_data_record(tmp_path / "data.json", written)
    read = read_data_record(tmp_path / "data.json")
    assert read.splits == written.splits and len(read.examples) == 12


def test_the_file_stays_small(tmp_path: Path) -> None:
    long = [Example(n, (), "", {}, tuple(f"{k} " + "漢字" * 500 for k in range(20))) for n in range(40)]
    write_data_record(tmp_path / "data.json", record(long))
    assert (tmp_path / "data.json").stat().st_size <= MOST_BYTES + 1
    assert 0 < len(read_data_record(tmp_path / "data.json").examples) < 12


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, -1, [[1]], {"a": {}}])
@pytest.mark.parametrize("key", ["dataset", "splits", "examples"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "data.json"
    write_data_record(path, record(asked(8)))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, key: value}))
    try:
        read_data_record(path)
    except UserError as error:
        assert str(path) in str(error) and "damaged" in str(error)
    path.write_text(json.dumps({name: of for name, of in content.items() if name != key}))
    with pytest.raises(UserError, match="damaged"):
        read_data_record(path)
