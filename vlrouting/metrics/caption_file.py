"""Captions of a finished run, scored again from its predictions file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlrouting.metrics.caption_scores import CaptionScores, score


class PredictionsError(ValueError):
    """A mistake in a predictions file. The message names the file, the line and the remedy; it needs no traceback."""


def score_file(path: Path, spice: bool = False) -> CaptionScores:
    """Score the captions of a `predictions.jsonl`: a line per image, `{"id": …, "prediction": …, "references": […]}`.

    Other keys are not read, and blank lines are skipped.

    Args:
        path: the file.
        spice: also compute SPICE, where it can run.

    Raises:
        PredictionsError: the file cannot be read or has no line, a line is broken or lacks a field, or an id comes
            twice.
    """
    hypotheses: dict[int | str, str] = {}
    references: dict[int | str, list[str]] = {}
    line_of: dict[int | str, int] = {}
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        record = _parse(line, where)
        image = _take_id(record, where)
        if image in hypotheses:
            raise PredictionsError(f"{where}: id {image!r} came in line {line_of[image]} already; remove one of them")
        hypotheses[image] = _take_prediction(record, where)
        references[image] = _take_references(record, where)
        line_of[image] = number
    if not hypotheses:
        raise PredictionsError(f"{path}: the file is empty; write it again with `vlrouting evaluate`")
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
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise PredictionsError(
            f"{where}: no whole JSON object ({error.msg} at column {error.colno}); repair or remove the line"
        ) from error
    if type(record) is not dict:
        raise PredictionsError(f"{where}: no JSON object but {record!r:.60}; repair or remove the line")
    for key in ("id", "prediction", "references"):
        if key not in record:
            present = ", ".join(map(str, record))
            raise PredictionsError(f"{where}: has no '{key}' (its keys: {present}); add it, or remove the line")
    return record


def _take_id(record: dict[str, Any], where: str) -> int | str:
    identity = record["id"]
    if type(identity) is int or type(identity) is str:
        return identity
    raise PredictionsError(f"{where}: 'id' must be an integer or a string, not {identity!r:.60}; repair the line")


def _take_prediction(record: dict[str, Any], where: str) -> str:
    if type(record["prediction"]) is str:
        return record["prediction"]
    raise PredictionsError(f"{where}: 'prediction' must be a string, not {record['prediction']!r:.60}; repair the line")


def _take_references(record: dict[str, Any], where: str) -> list[str]:
    references = record["references"]
    if type(references) is not list or any(type(text) is not str for text in references):
        raise PredictionsError(
            f"{where}: 'references' must be a list of strings, not {references!r:.60}; repair the line"
        )
    if not references:
        raise PredictionsError(
            f"{where}: has no references, so there is nothing to score against; add them, or remove the line"
        )
    return references
