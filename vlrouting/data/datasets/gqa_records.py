"""GQA's official records: the question files, and the choices file that validity and plausibility need."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from sys import intern
from typing import Any

from vlrouting.data.datasets.json_records import take
from vlrouting.data.datasets.json_stream import stream_entries
from vlrouting.data.example import DataError

SCORED_KEYS = ("isBalanced", "answer", "types", "semantic", "groups", "entailed")
"""Keys that the metric reads of a balanced question; of an unbalanced one it reads the first two."""


def question_records(files: Sequence[Path]) -> Iterator[tuple[Path, str, Any]]:
    """File, question id and record of every question.

    Raises:
        DataError: a file is corrupt, a question id is duplicate, or there is no question.
    """
    seen: set[str] = set()
    for file in files:
        for question_id, record in stream_entries(file):
            if question_id in seen:
                raise DataError(f"{file}: question {question_id} occurs twice; remove one of the two records")
            seen.add(question_id)
            yield file, question_id, record
    if not seen:
        raise DataError(f"{files[0]}: there is no question; fetch the file again, or choose another split")


def scored_records(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Records by question id, with the keys that the metric reads.

    Raises:
        DataError: names file, question and remedy.
    """
    records: dict[str, dict[str, Any]] = {}
    for file, question_id, record in question_records(files):
        balanced = take(record, "isBalanced", (bool,), file, f"question {question_id}")
        keys = SCORED_KEYS if balanced else SCORED_KEYS[:2]
        records[question_id] = {key: record[key] for key in keys if key in record}
    return records


def choices_of(path: Path, question_ids: Container[str]) -> dict[str, dict[str, list[str]]]:
    """Valid and plausible answers of these questions; questions that the file does not have are left out.

    Raises:
        DataError: names file, question and remedy.
    """
    # The file has many more questions, and few distinct answers, which `intern` stores once.
    return {
        question_id: {
            kind: list(map(intern, take(entry, kind, (list,), path, f"question {question_id}")))
            for kind in ("valid", "plausible")
        }
        for question_id, entry in stream_entries(path)
        if question_id in question_ids
    }
