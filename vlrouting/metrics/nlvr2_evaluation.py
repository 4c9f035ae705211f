"""NLVR2's numbers as the official evaluation defines them, and the predictions file that it takes.

Source: https://github.com/lil-lab/nlvr (nlvr2/eval/metrics.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrouting.metrics.results_file import named, write_results_file

_LABELS = ("true", "false")
_PAIR = 2
"""Part of an identifier `split-set-pair-sentence` that consistency does not look at."""


def evaluate(records: Sequence[Mapping[str, Any]], predictions: Mapping[str, str]) -> dict[str, float]:
    """Accuracy and consistency, as fractions of 1.

    Args:
        records: with `identifier` and `label`, as in the official file.
        predictions: identifier to true or false, in any case.

    Returns:
        `accuracy`: share of the records that are answered rightly. `consistency`: share of the statements, each about
        several pairs of images, that are answered rightly for every pair.

    Raises:
        ValueError: there are no records, one has no label or no prediction, or an identifier is not of four parts.
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
        statement = _statement(identifier)
        if "label" not in record:
            raise ValueError(f"record {identifier} has no label; the hidden test set is scored by its authors")
        right = predictions[identifier].lower() == record["label"].lower()
        correct += right
        consistent[statement] = consistent.get(statement, True) and right
    return {
        "accuracy": correct / len(records),
        "consistency": sum(consistent.values()) / len(consistent),
    }


def write_results(path: str | Path, predictions: Mapping[str, str], expected_ids: Iterable[str]) -> None:
    """Write the file that the evaluation takes, a line for each record: `dev-850-0-0,true`.

    Raises:
        ValueError: the identifiers are not those expected, or a prediction is neither true nor false; nothing is
            written.
    """
    odd = [f"{identifier}: {text!r}" for identifier, text in predictions.items() if text.lower() not in _LABELS]
    if odd:
        raise ValueError(f"{path}: predictions that are neither true nor false: {named(odd)}")

    def encode(pairs: list[tuple[str, str]]) -> str:
        return "".join(f"{identifier},{prediction}\n" for identifier, prediction in pairs)

    write_results_file(path, predictions, expected_ids, encode)


def _statement(identifier: str) -> tuple[str, ...]:
    """What the records of one statement have in common: split, set and sentence."""
    parts = identifier.split("-")
    if len(parts) != 4:
        raise ValueError(f"identifier '{identifier}' is not of the form split-set-pair-sentence; repair the record")
    return (*parts[:_PAIR], *parts[_PAIR + 1 :])
