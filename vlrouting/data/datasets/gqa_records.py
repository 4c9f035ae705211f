"""GQA's official records: the question files, and the choices file that validity and plausibility need."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from sys import intern
from typing import Any

from vlrouting.data.datasets.json_records import take
from vlrouting.data.datasets.json_stream import stream_entries
from vlrouting.data.datasets.json_text import shown, text_problem
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
            if not (question_id.isascii() and question_id.isdigit()):
                raise DataError(
                    f"{file}: the id {question_id!a:.60} (record {len(seen) + 1:,}) is no number; repair it"
                )
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
        place = f"question {question_id}"
        balanced = take(record, "isBalanced", (bool,), file, place)
        if "answer" in record:
            take(record, "answer", (str,), file, place)
            if balanced:
                _check_scored(record, file, place)
        keys = SCORED_KEYS if balanced else SCORED_KEYS[:2]
        records[question_id] = {key: record[key] for key in keys if key in record}
    return records


def _check_scored(record: dict[str, Any], file: Path, place: str) -> None:
    """Check what the metric reads of a balanced question that has an answer.

    Raises:
        DataError: a key is missing, or its value has another type.
    """
    types = take(record, "types", (dict,), file, place)
    for key in ("structural", "semantic", "detailed"):
        take(types, key, (str,), file, f"{place}, types")
    for step in take(record, "semantic", (list,), file, place):
        take(step, "operation", (str,), file, f"{place}, semantic")
        if "argument" not in step:
            raise DataError(f"{file}: {place}, semantic: a step has no 'argument'; repair it")
    _texts(record, "entailed", file, place)
    groups = take(record, "groups", (dict,), file, place)
    if "global" not in groups or groups["global"] is not None:
        take(groups, "global", (str,), file, f"{place}, groups")


def _texts(record: Any, key: str, file: Path, place: str) -> list[str]:
    """The list of strings under a key."""
    values = take(record, key, (list,), file, place)
    wrong = [value for value in values if type(value) is not str or text_problem(value)]
    if wrong:
        raise DataError(f"{file}: {place}: {key} must be a list of strings, and has {shown(wrong[0])}; repair it")
    return [intern(value) for value in values]


def choices_of(path: Path, question_ids: Container[str]) -> dict[str, dict[str, list[str]]]:
    """Valid and plausible answers of these questions; questions that the file does not have are left out.

    Raises:
        DataError: names file, question and remedy.
    """
    # The file has many more questions, and few distinct answers, which `intern` stores once.
    return {
        question_id: {kind: _texts(entry, kind, path, f"question {question_id}") for kind in ("valid", "plausible")}
        for question_id, entry in stream_entries(path)
        if question_id in question_ids
    }
