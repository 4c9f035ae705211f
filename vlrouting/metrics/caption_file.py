"""Scores the captions of a predictions file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlrouting.metrics.caption_scores import CaptionScores, score
from vlrouting.metrics.predictions_file import PredictionsError, read_records

Records = list[tuple[str, dict[str, Any]]]
"""Each with where it is."""


def score_file(path: Path, spice: bool = False) -> dict[str, CaptionScores]:
    """Score a `predictions.jsonl`: one line per image, `{"id": …, "prediction": …, "references": […]}`.

    Other keys are ignored, and blank lines are skipped. In a file of several datasets, those with questions are left
    out.

    Args:
        path: the file.
        spice: also compute SPICE, if possible.

    Returns:
        The scores of each dataset with captions, by its name; by an empty one where the records name none.

    Raises:
        PredictionsError: the file cannot be read or is empty, a line is invalid, an id is duplicate, or there are no
            captions.
    """
    of_dataset: dict[str, Records] = {}
    answer = ""
    for where, record in read_records(path):
        dataset = record.get("dataset", "")
        if "question" not in record:
            of_dataset.setdefault(dataset, []).append((where, record))
        elif not dataset:
            raise _no_caption(where, path)
        else:
            answer = where
    if not of_dataset:
        raise _no_caption(answer, path)
    return {dataset: _score(records, spice) for dataset, records in of_dataset.items()}


def _no_caption(where: str, path: Path) -> PredictionsError:
    return PredictionsError(
        f"{where}: is the answer to a question, and the scores here are those of captions; compute those of "
        f"answers with: vlrouting score --check {path.parent}"
    )


def _score(records: Records, spice: bool) -> CaptionScores:
    for where, record in records:
        if not record["references"]:
            raise PredictionsError(f"{where}: has no references to score against; add them, or remove the line")
    hypotheses = {record["id"]: record["prediction"] for _, record in records}
    return score(hypotheses, {record["id"]: record["references"] for _, record in records}, spice=spice)
