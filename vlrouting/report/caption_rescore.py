"""Scores the captions of a predictions file again: `vlrouting score-captions`."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.config.names import counted
from vlrouting.experiment.atomic import write_json_atomic
from vlrouting.metrics.caption_file import score_file
from vlrouting.metrics.caption_scores import CaptionScores
from vlrouting.report.console import standard_output


def score_captions(predictions: Path, per_image: Path | None = None, console: Console | None = None) -> None:
    """Print the scores of a `predictions.jsonl`, times 100, and the reason and remedy for each missing score; with
    several datasets those of each that has captions.

    Args:
        predictions: the file.
        per_image: JSON file for the scores of every image, not multiplied, with several datasets by dataset. Default:
            do not write them.
        console: where to print. Default: standard output.

    Raises:
        PredictionsError: the file is missing or invalid.
    """
    console = console or standard_output()
    found = score_file(predictions)
    for dataset, scores in found.items():
        _show(scores, dataset, console)
    if per_image is not None:
        values = {
            dataset: {str(image): of for image, of in scores.per_image.items()} for dataset, scores in found.items()
        }
        write_json_atomic(per_image, values.get("", values))
        console.print(f"Per image: {per_image}", soft_wrap=True, markup=False, highlight=False)


def _show(scores: CaptionScores, dataset: str, console: Console) -> None:
    title = f"{f'{dataset}: ' if dataset else ''}{counted(len(scores.per_image), 'image')}"
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("score")
    table.add_column("times 100", justify="right")
    for name, value in scores.corpus.items():
        table.add_row(name, f"{100 * value:.2f}")
    if scores.corpus:
        console.print(table)
    for name, reason in scores.not_computed.items():
        console.print(f"{name} not computed: {reason}", soft_wrap=True, markup=False, highlight=False)
