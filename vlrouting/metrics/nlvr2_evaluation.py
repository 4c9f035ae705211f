"""NLVR2's official evaluation, and the predictions file of its evaluation script.

Source: https://github.com/lil-lab/nlvr (nlvr2/eval/metrics.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrouting.metrics.results_file import named, write_results_file

_PAIR = 2
"""Index of `pair` in an identifier `split-set-pair-sentence`."""


def evaluate(records: Sequence[Mapping[str, Any]], predictions: Mapping[str, str]) -> dict[str, float]:
    """Accuracy and consistency in [0, 1].

    Args:
        records: records of the official file; `identifier` and `label` are used.
        predictions: identifier -> true or false, in any case.

    Returns:
        `accuracy`: fraction of the records with a correct prediction. `consistency`: fraction of the statements, each
        about several pairs of images, with correct predictions for all pairs.

    Raises:
        ValueError: there are no records, one has no label or no prediction, or an identifier has not four parts.
    """
    if not records:
        raise ValueError("there is nothing to score; give the records of a whole file")
    missing = [record["identifier"] for record in records if record["identifier"] not in predictions]
    if missing:
        raise ValueError(f"records without a prediction: {named(missing)}; predict every one of them")
    correct = 0
    consistent: dict[tuple[str, ...], bool] = {}
    for record in records:
        identifier = record["identifier"]
        statement = statement_of(identifier)
        if "label" not in record:
            raise ValueError(f"record {identifier} has no label; the hidden test set is scored by its authors")
        is_correct = predictions[identifier].lower() == record["label"].lower()
        correct += is_correct
        consistent[statement] = consistent.get(statement, True) and is_correct
    return {"accuracy": correct / len(records), "consistency": sum(consistent.values()) / len(consistent)}


def write_results(path: str | Path, predictions: Mapping[str, str], expected_ids: Iterable[str]) -> None:
    """Write the file for the evaluation script, one line per record: `dev-850-0-0,true`. To it any other text than
    true or false is wrong.

    Raises:
        ValueError: the ids are not those expected, or a prediction is no field of such a line: it is empty, or has a
            comma or a line break; nothing is written.
    """
    fields = {identifier: text for identifier, text in predictions.items() if text.strip() and "," not in text}
    invalid = [f"{i}: {text!r}" for i, text in predictions.items() if i not in fields or len(text.splitlines()) > 1]
    if invalid:
        raise ValueError(f"{path}: predictions that do not fit a line: {named(invalid)}")

    def encode(pairs: list[tuple[str, str]]) -> str:
        return "".join(f"{identifier},{prediction}\n" for identifier, prediction in pairs)

    write_results_file(path, predictions, expected_ids, encode)


def statement_of(identifier: str) -> tuple[str, ...]:
    """Key of a statement: split, set and sentence, without the pair."""
    parts = identifier.split("-")
    if len(parts) != 4:
        raise ValueError(f"identifier '{identifier}' is not of the form split-set-pair-sentence; repair the record")
    return (*parts[:_PAIR], *parts[_PAIR + 1 :])
