"""What the rows of a user's table become."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.datasets.table.own_tables import own, read, touch, write_csv, write_jsonl
from vlrouting.config import ExperimentConfig, SplitShares
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.registry import format_of
from vlrouting.data.example import Example
from vlrouting.data.loading.vocabulary import AnswerVocabulary
from vlrouting.metrics.answer_accuracy import answer_accuracy

ALL = {"split_shares": SplitShares(1.0, 0.0, 0.0), "validation": None, "test": "train"}
"""Everything is for training."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files that pass for pictures."""
    touch(tmp_path, [f"{name}.jpg" for name in "abcde"])
    return tmp_path


def test_a_question_with_one_answer(folder: Path) -> None:
    write_csv(folder / "t.csv", [{"image": "a.jpg", "question": " Which? ", "answer": "A red Car", "more": "x"}])
    (found,) = read(folder, **ALL)["train"]
    assert found == Example(
        2, (folder / "a.jpg",), "Which?", {"red car": 1.0}, answers=("A red Car",), answer="A red Car"
    )


def test_several_answers_are_labels_with_the_score_that_the_metric_gives(folder: Path) -> None:
    answers = ["Two", "2", "three", "A", "the", "two dogs"]
    write_jsonl(folder / "t.jsonl", [{"id": 7, "image": "a.jpg", "question": "?", "answers": answers, "group": "g"}])
    (found,) = read(folder, **ALL)["train"]
    assert (found.id, found.group, found.answers, found.answer) == ("7", "g", tuple(answers), "Two")
    assert list(found.labels) == ["2", "3", "a", "the", "2 dogs"]
    for answer in ("2", "3", "2 dogs"):
        assert found.labels[answer] == answer_accuracy(answer, answers)
    vocabulary = AnswerVocabulary.of(own(folder, **ALL), [found])
    assert vocabulary.encode(found.labels).tolist() == [pytest.approx(answer_accuracy("2", answers))]


def test_a_letter_that_is_an_article_is_an_answer(folder: Path) -> None:
    write_csv(folder / "t.csv", [{"image": f"{n}.jpg", "question": "?", "answer": n.upper()} for n in "abcd"])
    examples = read(folder, **ALL)["train"]
    assert AnswerVocabulary.of(own(folder, **ALL), examples).answers == ("a", "b", "c", "d")
    assert all(answer_accuracy(next(iter(example.labels)), example.answers) == 1 for example in examples)


def test_the_task_decides_between_answers_and_captions(folder: Path) -> None:
    rows = [{"image": "a.jpg", "question": "?", "answer": "yes", "caption": "a cat"}]
    write_csv(folder / "t.csv", rows)
    (asked,) = read_splits(ExperimentConfig(task="vqa_generation", data=own(folder, **ALL)).data)["train"]
    (described,) = read_splits(ExperimentConfig(task="captioning", data=own(folder, **ALL)).data)["train"]
    assert (asked.text, asked.answers) == ("?", ("yes",))
    assert (described.text, described.answers, described.labels) == ("", ("a cat",), {})
    assert read(folder, target="caption", **ALL)["train"] == [described]
    assert read(folder, **ALL)["train"] == [asked]


def test_captions_of_an_image_are_one_example(folder: Path) -> None:
    rows = [("a.jpg", "one"), ("b.jpg", "two \n lines"), ("./a.jpg", "three")]
    write_csv(folder / "t.csv", [{"id": image.strip("./"), "image": image, "caption": text} for image, text in rows])
    first, second = read(folder, **ALL)["train"]
    assert (first.id, first.images, first.answers) == ("a.jpg", (folder / "a.jpg",), ("one", "three"))
    assert second.answers == ("two lines",) and second.answer == "two lines"


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_several_images_and_answers_in_a_cell(folder: Path, name: str) -> None:
    rows = [
        {"images": "a.jpg | b.jpg", "question": "same, or not?", "answers": "yes|no| yes "},
        {"images": "c.jpg|d.jpg", "question": "same?", "answers": "no"},
    ]
    write_csv(folder / name, rows, delimiter="," if name == "t.csv" else "\t")
    first, second = read(folder, **ALL)["train"]
    assert first.images == (folder / "a.jpg", folder / "b.jpg") and first.answers == ("yes", "no", "yes")
    assert second.answers == ("no",) and first.text == "same, or not?"
    assert format_of(own(folder)).images_per_example == 2


def test_a_test_set_may_have_no_answers(folder: Path) -> None:
    write_csv(folder / "train.csv", [{"image": "a.jpg", "question": "?", "answer": "yes"}])
    write_csv(folder / "test.csv", [{"image": "b.jpg", "question": "?"}])
    (hidden,) = read(folder, validation=None)["test"]
    assert hidden.answers == () and hidden.labels == {} and hidden.answer == ""


def test_pictures_need_not_be_there_where_none_is_opened(folder: Path) -> None:
    write_csv(folder / "t.csv", [{"image": "gone.jpg", "question": "?", "answer": "yes"}])
    (found,) = read_splits(own(folder, **ALL), images=False)["train"]
    assert found.images == (folder / "gone.jpg",)


def test_a_byte_order_mark_blank_lines_and_windows_line_ends(folder: Path) -> None:
    text = '\ufeffimage,question,answer\r\n\r\na.jpg,"first\r\nsecond",yes\r\n,,\r\nb.jpg,?,né\r\n'
    (folder / "t.csv").write_text(text, encoding="utf-8", newline="")
    first, second = read(folder, **ALL)["train"]
    assert (first.id, first.text, second.id, second.answer) == (3, "first\r\nsecond", 6, "né")
