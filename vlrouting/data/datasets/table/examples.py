"""Examples out of the rows of a user's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from vlrouting.data.datasets.table.check import checked_table
from vlrouting.data.datasets.table.mistakes import Mistakes
from vlrouting.data.datasets.table.record import Row
from vlrouting.data.datasets.table.source import TableSource
from vlrouting.data.example import DataError, Example
from vlrouting.metrics.answer_accuracy import accuracy_of_matches
from vlrouting.metrics.vqa_accuracy import normalize_answer

Numbered = tuple[int | str, Row]
"""Id and values of a row."""


def vocabulary_answer(answer: str) -> str:
    """An answer as an entry of the vocabulary: normalised as in the evaluation; "A" as "a", though it is an article."""
    return normalize_answer(answer) or answer.strip().lower()


def read_examples(source: TableSource, split: str) -> Iterator[Example]:
    """The examples of one split, in the order of the files. Pictures are not opened.

    Rows with captions of the same image are one example.

    Raises:
        DataError: something is wrong with the tables, also with those of other splits; a line for each kind of mistake.
    """
    rows = _rows(source, split)
    return _described(rows, source.root) if source.target == "caption" else _asked(rows, source.root)


def _rows(source: TableSource, split: str) -> Iterator[Numbered]:
    table, mistakes = checked_table(source), Mistakes()
    wanted = table.number(split)
    for (path, of_file), numbers in zip(source.files, table.numbers, strict=True):
        if of_file not in (None, split):
            continue
        rows, complain = source.rows(path), mistakes.of(path)
        columns = rows.columns(complain) or ()
        reader = source.reader(columns, rows, table.images, table.images_per_row, complain)
        of_row = iter(numbers)
        for number, record in rows.records(complain):
            of_this = next(of_row, None)
            if of_this != wanted:
                continue
            row = reader.read(number, record)
            if row is not None:
                yield row.id or source.id_of(path, number), row
        if mistakes or next(of_row, None) is not None:
            raise DataError(f"{path}: was changed while it was read; start again")


def _asked(rows: Iterable[Numbered], root: Path) -> Iterator[Example]:
    paths = lru_cache(1 << 14)(root.joinpath)  # the questions of an image often follow each other
    for identity, row in rows:
        labels, answer = _labels(row.answers)
        images = tuple(map(paths, row.images))
        yield Example(identity, images, row.text, labels, answers=row.answers, answer=answer, group=row.group)


@lru_cache(1 << 14)
def _labels(answers: tuple[str, ...]) -> tuple[dict[str, float], str]:
    """The score that the metric gives each answer, and the first of the most common answers, as it is written."""
    counts: dict[str, int] = {}
    written: dict[str, str] = {}
    for answer in answers:
        entry = vocabulary_answer(answer)
        counts[entry] = counts.get(entry, 0) + 1
        written.setdefault(entry, answer)
    if not counts:
        return {}, ""
    labels = {entry: accuracy_of_matches(count, len(answers)) for entry, count in counts.items()}
    return labels, written[max(counts, key=counts.__getitem__)]


def _described(rows: Iterable[Numbered], root: Path) -> Iterator[Example]:
    first: dict[tuple[str, ...], Numbered] = {}
    captions: dict[tuple[str, ...], list[str]] = {}
    for identity, row in rows:
        first.setdefault(row.images, (identity, row))
        captions.setdefault(row.images, []).extend(row.answers)
    for images, (identity, row) in first.items():
        texts = tuple(captions[images])
        paths = tuple(root / image for image in images)
        yield Example(identity, paths, "", {}, answers=texts, answer=texts[0], group=row.group)
