"""The per-split list of LXMERT and VL-T5 (`karpathy_train.json`, `minival.json`): questions with soft scores (`label`).

A record: `{"question_id": 458752000, "img_id": "COCO_train2014_000000458752", "sent": "What …?", "label": {"net": 1}}`;
`answer_type`, `question_type` and the ten `answers` are optional. Source: https://github.com/airsplay/lxmert.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from sys import intern
from typing import Any

from vlrouting.data.datasets.json_records import name_record, shown_id, take
from vlrouting.data.datasets.json_text import shown, text_problem
from vlrouting.data.datasets.vqa_annotations import Annotations, answered, check_answer_type, soft_scores, ten_answers
from vlrouting.data.datasets.vqa_images import ImagePaths
from vlrouting.data.example import DataError, Example

_NUMBER = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)


def list_examples(
    records: list[Any], path: Path, images: ImagePaths, annotations: Annotations | None
) -> Iterator[Example]:
    """Examples of a list. Scores come from `label`; answers and types come from `annotations`, if given.

    A list may be a part of the official annotations, so annotations of further questions are allowed.

    Raises:
        DataError: names file, question_id and remedy.
    """
    if not records:
        raise DataError(f"{path}: the list is empty; fetch the file again, or choose another split")
    labelled = isinstance(records[0], dict) and "label" in records[0]
    kind: type[int] | type[str] | None = None
    seen: set[int | str] = set()
    for number, record in enumerate(records, start=1):
        question_id = take(record, "question_id", (int, str), path, number)
        kind = kind or type(question_id)
        if type(question_id) is not kind:
            raise DataError(
                f"{name_record(path, record, number)} is a {type(question_id).__name__}, unlike those before it; make "
                "every question_id an integer, or every one a string"
            )
        if question_id in seen:
            raise DataError(f"{path}: question_id {shown_id(question_id)} occurs twice; remove one of the two records")
        if ("label" in record) != labelled:
            raise DataError(
                f"{path}: question_id {shown_id(question_id)} has {'no' if labelled else 'a'} 'label', unlike the "
                "records before it; give every record one ({} for no answer), or none for a test set"
            )
        if isinstance(question_id, str) and not _NUMBER.fullmatch(question_id):
            raise DataError(
                f"{name_record(path, record, number)} is no number, as the evaluation server's file has them; repair it"
            )
        seen.add(question_id)
        yield _example(record, question_id, path, number, images, annotations)


def _example(
    record: dict[str, Any],
    question_id: int | str,
    path: Path,
    number: int,
    images: ImagePaths,
    official: Annotations | None,
) -> Example:
    where = name_record(path, record, number)
    image = images.by_name(take(record, "img_id", (str,), path, number), where)
    text = take(record, "sent", (str,), path, number)
    labels = _labels(record["label"], where) if "label" in record else {}
    if official is not None:
        found = official.by_question.get(question_id) if isinstance(question_id, int) else None
        if found is None:
            raise DataError(f"{where}: has no annotation in {official.path}; choose the annotations file of its images")
        scores = labels if "label" in record else soft_scores(found.answers)
        return answered(question_id, image, text, scores, found)
    answer_type = _type(record, "answer_type", path, number)
    if answer_type:
        check_answer_type(answer_type, where)
    answers = take(record, "answers", (list,), path, number) if record.get("answers") is not None else None
    return Example(
        id=question_id,
        images=image,
        text=text,
        labels=labels,
        answers=ten_answers(answers, where) if answers is not None else (),
        answer_type=answer_type,
        question_type=_type(record, "question_type", path, number),
        answer=max(labels, key=labels.__getitem__, default=""),
    )


def _type(record: dict[str, Any], key: str, path: Path, number: int) -> str:
    """An optional type of the question; null stands for none."""
    return intern(take(record, key, (str,), path, number, blank=True)) if record.get(key) is not None else ""


def _labels(label: Any, where: str) -> dict[str, float]:
    valid = isinstance(label, dict) and all(type(score) in (int, float) and 0 <= score <= 1 for score in label.values())
    if not valid:
        raise DataError(f"{where}: 'label' must map answers to scores between 0 and 1, not {shown(label)}; repair it")
    broken = next((f"{answer!a:.60} has {text_problem(answer)}" for answer in label if text_problem(answer)), None)
    if broken is not None:
        raise DataError(f"{where}: the answer {broken}; repair it")
    return {answer: float(score) for answer, score in label.items()}
