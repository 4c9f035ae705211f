"""`data.json` of a run directory: what a run was trained and tested on, for the report. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vlrouting.data.inspection.description import LONGEST, Lengths, ShownExample, SplitDescription
from vlrouting.experiment.atomic import write_text_atomic
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.json_file import read_object

MOST_BYTES = 50_000
"""Of the file; where the examples would exceed it, there are fewer of them."""


@dataclass(frozen=True)
class DataRecord:
    """What the file holds.

    Attributes:
        dataset: name of the reader.
        splits: those that the run uses.
        examples: of the training split.
    """

    dataset: str
    splits: tuple[SplitDescription, ...]
    examples: tuple[ShownExample, ...]


def write_data_record(path: Path, record: DataRecord) -> None:
    """Write the file, with as many examples as fit.

    Raises:
        OSError: it cannot be written.
    """
    while len(text := json.dumps(asdict(record), ensure_ascii=False).encode("utf-8", "replace")) > MOST_BYTES:
        if not record.examples:
            break
        record = replace(record, examples=record.examples[:-1])
    write_text_atomic(path, text.decode() + "\n")


def read_data_record(path: Path) -> DataRecord:
    """What was written.

    Raises:
        UserError: the file cannot be read, or is damaged.
    """
    content = read_object(path)
    try:
        return DataRecord(
            dataset=str(content["dataset"]),
            splits=tuple(map(_split, content["splits"])),
            examples=tuple(map(_example, content["examples"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged: {type(error).__name__}: {error}.") from error


def _split(content: dict[str, Any]) -> SplitDescription:
    numbers = ("examples", "described", "images", "questions", "captions", "distinct_answers", "other_answers")
    return SplitDescription(
        name=str(content["name"]),
        roles=tuple(map(str, content["roles"])),
        top_answers={str(answer): int(count) for answer, count in content["top_answers"].items()},
        lengths=tuple(map(_lengths, content["lengths"])),
        **{name: int(content[name]) for name in numbers},
    )


def _lengths(content: dict[str, Any]) -> Lengths:
    return Lengths(
        unit=str(content["unit"]),
        counts={min(int(length), LONGEST): int(count) for length, count in content["counts"].items()},
        mean=float(content["mean"]),
        least=int(content["least"]),
        most=int(content["most"]),
        limit=None if content["limit"] is None else int(content["limit"]),
        limit_key=str(content["limit_key"]),
        over_limit=float(content["over_limit"]),
    )


def _example(content: dict[str, Any]) -> ShownExample:
    references = tuple((str(text), int(count)) for text, count in content["references"])
    return ShownExample(content["id"], tuple(map(str, content["images"])), str(content["text"]), references)
