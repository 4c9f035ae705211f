"""Scores the captions of a predictions file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlrouting.metrics.caption_scores import CaptionScores, score


class PredictionsError(ValueError):
    """An invalid predictions file. The message names file, line and remedy; users need no traceback."""


def score_file(path: Path, spice: bool = False) -> CaptionScores:
    """Score a `predictions.jsonl`: one line per image, `{"id": …, "prediction": …, "references": […]}`.

    Other keys are ignored, and blank lines are skipped.

    Args:
        path: the file.
        spice: also compute SPICE, if possible.

    Raises:
        PredictionsError: the file cannot be read or is empty, a line is invalid, or an id is duplicate.
    """
    hypotheses: dict[int | str, str] = {}
    references: dict[int | str, list[str]] = {}
    line_of: dict[int | str, int] = {}
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        record = _parse(line, where)
        image = record["id"]
        if image in hypotheses:
            raise PredictionsError(f"{where}: id {image!r} occurs in line {line_of[image]} already; remove one of them")
        hypotheses[image], references[image], line_of[image] = record["prediction"], record["references"], number
    if not hypotheses:
        raise PredictionsError(f"{path}: the file is empty; make it again with `vlrouting evaluate`")
    return score(hypotheses, references, spice=spice)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise PredictionsError(
            f"{path}: cannot be read ({reason}); name a runs/<experiment>/<point>/predictions.jsonl"
        ) from error
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise PredictionsError(f"{path}: line {number}: no text in UTF-8; save the file as UTF-8") from error


def _parse(line: str, where: str) -> dict[str, Any]:
    """The record in a line, with the three keys validated."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise PredictionsError(
            f"{where}: invalid JSON ({error.msg} at column {error.colno}); repair or remove the line"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too deep a nesting
        raise PredictionsError(f"{where}: invalid JSON ({error}); remove the line") from error
    if type(record) is not dict:
        raise PredictionsError(f"{where}: no JSON object but {record!r:.60}; repair or remove the line")
    if "question" in record:
        raise PredictionsError(
            f"{where}: is the answer to a question, and the scores here are those of captions; the scores of answers "
            "are in metrics.json: make them again with `vlrouting evaluate`"
        )
    for key, (kinds, expected) in _FIELDS.items():
        if key not in record:
            present = ", ".join(map(str, record))
            raise PredictionsError(f"{where}: has no '{key}' (its keys: {present}); add it, or remove the line")
        value = record[key]
        if type(value) not in kinds or (key == "references" and any(type(text) is not str for text in value)):
            raise PredictionsError(f"{where}: '{key}' must be {expected}, not {value!r:.60}; repair the line")
    if not record["references"]:
        raise PredictionsError(f"{where}: has no references to score against; add them, or remove the line")
    return record


_FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "id": ((int, str), "an integer or a string"),
    "prediction": ((str,), "a string"),
    "references": ((list,), "a list of strings"),
}
"""Key -> its types in JSON, and these in words."""
