"""The official VQAv2 annotations file: ten answers, answer type and question type by question_id.

Format: https://visualqa.org/download.html. The soft score of an answer that k of ten annotators gave is min(1, 0.3 k)
(https://visualqa.org/evaluation.html), over the raw answers, as in the training of the models with 3129 answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any

from vlrouting.data.datasets.json_records import name_record, read_json, shown_id, take
from vlrouting.data.datasets.json_text import Unusable, shown, text_problem, usable_text
from vlrouting.data.example import DataError, Example

DATA_TYPES = ("mscoco", "easy_vqa", "shapes")
"""Known values of a file's `data_type`; the abstract scenes of VQA v1 are a different dataset."""
ANSWER_TYPES = ("yes/no", "number", "other")
CONFIDENCES = ("yes", "maybe", "no")
"""Values of `answer_confidence`."""
ANSWERS = 10
"""Answers per question."""
SOFT_SCORES = (0.0, 0.3, 0.6, 0.9, 1.0)
"""Score of an answer by the number of annotators who gave it; the last is for four and more."""


@dataclass(slots=True)
class Annotation:
    """The used fields of one record."""

    image_id: int
    answers: tuple[str, ...]
    answer: str
    answer_type: str
    question_type: str


@dataclass(frozen=True)
class Annotations:
    """The whole file."""

    path: Path
    data_subtype: str
    by_question: dict[int, Annotation]


def soft_scores(answers: Iterable[str]) -> dict[str, float]:
    """Score of every distinct raw answer: 0.3 if given once, 0.6 twice, 0.9 three times, 1 more often."""
    last = len(SOFT_SCORES) - 1
    return {answer: SOFT_SCORES[min(count, last)] for answer, count in Counter(answers).items()}


def answered(
    question_id: int | str, images: tuple[Path, ...], text: str, labels: Mapping[str, float], found: Annotation
) -> Example:
    """The example of a question and its annotation."""
    return Example(
        question_id, images, text, labels, found.answers, found.answer_type, found.question_type, found.answer
    )


def answer_text(record: dict[str, Any]) -> Any:
    """JSON hook: replaces an answer object by its text; 4.4 million small dicts would take over 1 GB."""
    answer = record.get("answer")
    if not isinstance(answer, str) or "question_id" in record:
        return record
    confidence = record.get("answer_confidence", "yes")
    if type(confidence) is not str or confidence not in CONFIDENCES:
        return Unusable(f"one with the answer_confidence {shown(confidence)}")
    return intern(answer)


def read_annotations(path: Path) -> Annotations:
    """Read and check an annotations file.

    Raises:
        DataError: names file, question_id and remedy.
    """
    content = read_json(path, object_hook=answer_text)
    subtype = check_header(content, path, "annotations")
    by_question: dict[int, Annotation] = {}
    for number, record in enumerate(content["annotations"], start=1):
        question_id = take(record, "question_id", (int,), path, number)
        if question_id in by_question:
            raise DataError(
                f"{path}: question_id {shown_id(question_id)} is annotated twice; remove one of the two records"
            )
        by_question[question_id] = _annotation(record, path, number)
    return Annotations(path, subtype, by_question)


def _annotation(record: dict[str, Any], path: Path, number: int) -> Annotation:
    answers = take(record, "answers", (list,), path, number)
    answer_type = take(record, "answer_type", (str,), path, number)
    check_answer_type(answer_type, name_record(path, record, number))
    return Annotation(
        image_id=take(record, "image_id", (int,), path, number),
        answers=ten_answers(answers, name_record(path, record, number)),
        answer=intern(take(record, "multiple_choice_answer", (str,), path, number, blank=True)),
        answer_type=intern(answer_type),
        question_type=intern(take(record, "question_type", (str,), path, number)),
    )


def check_answer_type(answer_type: str, where: str) -> None:
    """Check that a question's type is one of the official ones.

    Raises:
        DataError: it is not; the message starts with `where`.
    """
    if answer_type not in ANSWER_TYPES:
        known = ", ".join(ANSWER_TYPES)
        raise DataError(f"{where}: answer_type {shown(answer_type)} is not one of {known}; repair the record")


def ten_answers(answers: list[Any], where: str) -> tuple[str, ...]:
    """The ten answer texts, which `answer_text` has already extracted.

    Raises:
        DataError: there are not exactly ten, one has no text, or all are empty; the message starts with `where`.
    """
    if len(answers) != ANSWERS:
        raise DataError(
            f"{where}: has {len(answers)} answers, and VQA accuracy is defined over {ANSWERS}; fetch the annotations "
            "file again, or remove the question from both files"
        )
    for position, answer in enumerate(map(usable_text, answers), start=1):
        if type(answer) is not str:
            raise DataError(f"{where}: answer {position} has no text under 'answer' ({shown(answer)}); repair it")
    if not any(map(str.strip, answers)):
        raise DataError(f"{where}: all {ANSWERS} answers are empty; repair it, or remove the question from both files")
    return tuple(answers)


def check_header(content: Any, path: Path, key: str) -> str:
    """The `data_subtype` of a questions or annotations file; its records are under `key`.

    Raises:
        DataError: not an object, records missing or empty, `data_type` unknown, or `data_subtype` missing.
    """
    other = {"questions": "annotations", "annotations": "questions"}[key]
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        swapped = isinstance(content, dict) and other in content
        remedy = f"it looks like the {other} file: swap the two" if swapped else "compare with the official file format"
        raise DataError(f"{path}: has no list '{key}'; {remedy}")
    if not content[key]:
        raise DataError(f"{path}: the list '{key}' is empty; fetch the file again, or choose another split")
    data_type, subtype = content.get("data_type"), content.get("data_subtype")
    if data_type not in DATA_TYPES:
        raise DataError(
            f"{path}: data_type is {shown(data_type)}, not one of {', '.join(DATA_TYPES)}: a file of another "
            "dataset, or the key is missing; choose the file of VQA v2 for real images"
        )
    if not isinstance(subtype, str) or not subtype or text_problem(subtype):
        raise DataError(
            f"{path}: 'data_subtype' is {shown(subtype)}; it must name the split's images, such as train2014"
        )
    return subtype
