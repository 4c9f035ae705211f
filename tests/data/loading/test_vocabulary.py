"""The answer vocabulary: built by the ≥ n rule, read from both file forms, and what it does to soft scores."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from tests.data.datasets.official_files import ANSWERS, write_json, write_world
from vlrouting.config import DATASETS
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.vocabulary import AnswerVocabulary


def asked(*answers: str) -> list[Example]:
    return [Example(number, (), "?", {answer: 1.0}, answer=answer) for number, answer in enumerate(answers)]


def test_answers_of_enough_questions_commonest_first() -> None:
    examples = asked(*["red"] * 2, *["Two"] * 2, "two", *["yes"] * 3, "rare")
    built = AnswerVocabulary.build(examples, 2, str.lower)
    assert built.answers == ("two", "yes", "red")
    assert AnswerVocabulary.build(examples, 3, str.lower).answers == ("two", "yes")


def test_nine_questions_are_enough_for_the_official_rule() -> None:
    examples = asked(*["A dog"] * 5, *["dog"] * 4, *["two"] * 9, *["1,000 or more"] * 9, *["rare"] * 8)
    assert AnswerVocabulary.build(examples, 9, DATASETS.load("vqav2").normalize_answer).answers == (
        "1000 or more",
        "2",
        "dog",
    )


def test_the_comma_goes_where_the_evaluations_normalisation_leaves_it() -> None:
    pair = asked("red, blue", "red blue")
    assert AnswerVocabulary.build(pair, 2, DATASETS.load("vqav2").normalize_answer).answers == ("red blue",)


@pytest.mark.parametrize("dataset", ["gqa", "nlvr2"])
def test_where_answers_are_compared_as_they_are_a_vocabulary_has_them_so(dataset: str) -> None:
    written = ["Pipe", "pipe", "the dog", "black, white", "t-shirt", "two"]
    built = AnswerVocabulary.build(asked(*written), 1, DATASETS.load(dataset).normalize_answer)
    assert built.answers == tuple(sorted(written))


def test_a_question_counts_once_and_only_with_labels() -> None:
    once = asked("red")
    unlabelled = [Example(number, (), "?", {}) for number in range(9)]
    with pytest.raises(DataError, match=r"2 questions .* \(the most common one: 1\); lower data.min_answer_count"):
        AnswerVocabulary.build(once * 5 + unlabelled, 2, str.lower)


@pytest.mark.parametrize("twice", [False, True])
def test_stored_examples_have_the_vocabulary_of_a_list(twice: bool) -> None:
    examples = asked(*["red"] * 3, *["Two"] * 2, "two", *["yes"] * 4, "rare", *["no"] * 3)
    examples += [Example(100 + number, (), "?", {}, answer="unlabelled") for number in range(5)]
    examples += examples[:3] * twice
    stored = StoredExamples(pack(iter(examples), Path("data")), Path("data"))
    for least in (1, 2, 3, 4):
        built = AnswerVocabulary.build(stored, least, str.lower)
        assert built == AnswerVocabulary.build(examples, least, str.lower)


def test_an_answer_may_be_normalised_to_nothing() -> None:
    built = AnswerVocabulary.build(asked("a", "a", "red", "red"), 2, lambda answer: "" if answer == "a" else answer)
    assert built.answers == ("", "red")


def test_encode_keeps_known_answers_as_they_are_written() -> None:
    vocabulary = AnswerVocabulary(("no", "yes", "2"))
    targets = vocabulary.encode({"yes": 0.9, "Yes": 1.0, "two": 0.6, "2": 0.3})
    assert targets.dtype == torch.float32
    assert torch.equal(targets, torch.tensor([0.0, 0.9, 0.3]))
    assert (vocabulary.index("Yes"), vocabulary.index("yes"), vocabulary.decode(2), len(vocabulary)) == (
        None,
        1,
        "2",
        3,
    )


def test_both_file_forms_are_the_same_and_pickle(tmp_path: Path) -> None:
    write_world(tmp_path)
    listed = AnswerVocabulary.read(tmp_path / "trainval_label2ans.json")
    mapped = AnswerVocabulary.read(tmp_path / "trainval_ans2label.json")
    assert listed == mapped == pickle.loads(pickle.dumps(listed))
    assert listed.answers == ANSWERS and listed.index("") == 0
    with pytest.raises(AttributeError):
        listed.answers = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (["yes", "no", "yes"], "answers occur twice: 'yes'; remove"),
        (["yes", 3], "must be a string; at index 1: 3; repair"),
        ([], "at least one answer; choose"),
        ({"yes": 0, "no": 2}, "0 to 1, each once; no answer has index 1; fetch"),
        ({"yes": 0, "no": 0}, "0 to 1, each once; no answer has index 1; fetch"),
        ({"yes": 0, "no": "1"}, "no integer at 'no': '1'; fetch"),
        ("yes", "neither a list .* choose"),
    ],
)
def test_broken_vocabulary(tmp_path: Path, content: object, expected: str) -> None:
    path = write_json(tmp_path / "answers.json", content)
    with pytest.raises(DataError, match=rf"answers\.json: .*{expected}"):
        AnswerVocabulary.read(path)
