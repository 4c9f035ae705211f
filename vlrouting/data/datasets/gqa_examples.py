"""GQA's questions as examples, read entry by entry: the training file has a million records in over 1 GB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vlrouting.data.datasets.gqa_records import question_records
from vlrouting.data.datasets.image_paths import ImageTemplate
from vlrouting.data.datasets.json_records import name_record, take
from vlrouting.data.example import DataError, Example


def question_examples(files: Sequence[Path], root: Path, template: ImageTemplate) -> Iterator[Example]:
    """The questions of a split in the order of its files.

    Raises:
        DataError: names file, question and remedy.
    """
    images: dict[str, tuple[Path, ...]] = {}
    answered: bool | None = None
    for file, question_id, record in question_records(files):
        place = f"question {question_id}"
        text = take(record, "question", (str,), file, place)
        image_id = take(record, "imageId", (str,), file, place)
        if image_id not in images:
            images[image_id] = (template.path(root, f"{file}: {place}", image_id=image_id),)
        if answered is None:
            answered = "answer" in record
        if ("answer" in record) != answered:
            raise DataError(
                f"{name_record(file, record, place)} has {'no' if answered else 'an'} 'answer', unlike those before "
                "it; give every record one, or none for a test set"
            )
        answer = take(record, "answer", (str,), file, place) if answered else ""
        types = take(record, "types", (dict,), file, place) if "types" in record else {}
        structural, semantic = _types(types, file, f"{place}, types") if types else ("", "")
        yield Example(
            id=question_id,
            images=images[image_id],
            text=text,
            labels={answer: 1.0} if answer else {},
            answers=(answer,) if answer else (),
            answer_type=structural,
            question_type=semantic,
            answer=answer,
        )


def _types(types: dict[str, Any], file: Path, place: str) -> tuple[str, str]:
    """The structural and the semantic type of a question."""
    return take(types, "structural", (str,), file, place), take(types, "semantic", (str,), file, place)
