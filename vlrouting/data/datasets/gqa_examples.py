"""GQA's questions, read entry by entry into packed columns: the training file has a million records in over 1 GB."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlrouting.data.datasets.gqa_records import choices_of, question_records, scored_records
from vlrouting.data.datasets.image_paths import ImageTemplate
from vlrouting.data.datasets.json_records import name_record, take
from vlrouting.data.datasets.lazy_examples import LazyExamples
from vlrouting.data.datasets.packed import CodedStrings, PackedStrings
from vlrouting.data.example import DataError, Example, image_name


@dataclass
class _Columns:
    """The stored fields of the questions."""

    ids: PackedStrings = field(default_factory=PackedStrings)
    texts: PackedStrings = field(default_factory=PackedStrings)
    image_ids: CodedStrings = field(default_factory=CodedStrings)
    answers: CodedStrings = field(default_factory=CodedStrings)
    structural_types: CodedStrings = field(default_factory=CodedStrings)
    semantic_types: CodedStrings = field(default_factory=CodedStrings)


class GQAExamples(LazyExamples):
    """The questions of a split in the order of its files. Each access makes a new `Example`.

    Forked workers share the columns with their parent without copying them (see `packed`).
    """

    def __init__(self, files: Sequence[Path], choices: Path | None, root: Path, template: ImageTemplate) -> None:
        """Read and validate the question files. The choices file, if any, is read by `choices()`.

        Raises:
            DataError: names file, question and remedy.
        """
        self._files, self._choices, self._root, self._template = tuple(files), choices, root, template
        self._columns = _read_columns(files, root, template)

    def __len__(self) -> int:
        return len(self._columns.ids)

    def records(self) -> dict[str, dict[str, Any]]:
        """The official records by question id, with the keys that the metric reads. Reads the files again.

        Raises:
            DataError: names file, question and remedy.
        """
        return scored_records(self._files)

    def choices(self) -> dict[str, dict[str, list[str]]] | None:
        """Valid and plausible answers by question id, read from the file; None without a choices file.

        Raises:
            DataError: names file, question and remedy.
        """
        if self._choices is None:
            return None
        return choices_of(self._choices, {self._columns.ids[index] for index in range(len(self))})

    def update_digest(self, digest: hashlib._Hash) -> bool:
        """See `LazyExamples`: the columns, and where the images of a question lie below the data root."""
        digest.update(image_name(self.example(0).images[0], self._root).encode())
        for column in vars(self._columns).values():
            column.update_digest(digest)
        return True

    def example(self, index: int) -> Example:
        """See `LazyExamples`."""
        columns = self._columns
        answer = columns.answers[index]
        return Example(
            id=columns.ids[index],
            images=(self._template.path(self._root, columns.ids[index], image_id=columns.image_ids[index]),),
            text=columns.texts[index],
            labels={answer: 1.0} if answer else {},
            answers=(answer,) if answer else (),
            answer_type=columns.structural_types[index],
            question_type=columns.semantic_types[index],
            answer=answer,
        )


def _read_columns(files: Sequence[Path], root: Path, template: ImageTemplate) -> _Columns:
    columns = _Columns()
    images: set[str] = set()
    answered: bool | None = None
    for file, question_id, record in question_records(files):
        place = f"question {question_id}"
        columns.ids.append(question_id)
        columns.texts.append(take(record, "question", (str,), file, place))
        image_id = take(record, "imageId", (str,), file, place)
        if image_id not in images:
            images.add(image_id)
            template.path(root, f"{file}: {place}", image_id=image_id)
        columns.image_ids.append(image_id)
        if answered is None:
            answered = "answer" in record
        if ("answer" in record) != answered:
            raise DataError(
                f"{name_record(file, record, place)} has {'no' if answered else 'an'} 'answer', unlike those before "
                "it; give every record one, or none for a test set"
            )
        columns.answers.append(take(record, "answer", (str,), file, place) if answered else "")
        types = take(record, "types", (dict,), file, place) if "types" in record else {}
        for name, column in (("structural", columns.structural_types), ("semantic", columns.semantic_types)):
            column.append(take(types, name, (str,), file, f"{place}, types") if types else "")
    return columns
