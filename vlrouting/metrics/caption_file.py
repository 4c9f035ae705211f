"""Scores the captions of a predictions file."""

from __future__ import annotations

from pathlib import Path

from vlrouting.metrics.caption_scores import CaptionScores, score
from vlrouting.metrics.predictions_file import PredictionsError, read_records


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
    for where, record in read_records(path):
        if "question" in record:
            raise PredictionsError(
                f"{where}: is the answer to a question, and the scores here are those of captions; compute those of "
                f"answers with: vlrouting score --check {path.parent}"
            )
        if not record["references"]:
            raise PredictionsError(f"{where}: has no references to score against; add them, or remove the line")
        hypotheses[record["id"]], references[record["id"]] = record["prediction"], record["references"]
    return score(hypotheses, references, spice=spice)
