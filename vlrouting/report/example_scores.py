"""Scores of single test examples, from predictions.jsonl, and the bootstrap over them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlrouting import statistics
from vlrouting.experiment.errors import UserError
from vlrouting.report.rows import Row
from vlrouting.statistics import Resampled

RESAMPLES = 4_000
"""The bootstrap's standard errors are then known to about 1%; twenty intervals over 2,000 examples take a second."""


@dataclass(frozen=True)
class ExampleScores:
    """Of one run.

    Attributes:
        ids: of the test examples.
        clusters: label of each example's cluster.
        values: metric key, such as `test/vqa_accuracy`, -> (N,) or (N, K).
    """

    ids: tuple[int | str, ...]
    clusters: tuple[object, ...]
    values: dict[str, NDArray[np.float64]]


def read_example_scores(row: Row, metrics: Iterable[str]) -> ExampleScores:
    """The scores of a complete run; a metric that the examples have no scores of is left out.

    Raises:
        UserError: predictions.jsonl is missing or damaged, or has no clusters or scores of examples.
    """
    assert row.folder is not None
    path = row.folder / "predictions.jsonl"
    remedy = f"vlrouting evaluate {row.experiment} writes them"
    records = _records(path, remedy)
    found = {}
    for metric in metrics:
        name = metric.removeprefix("test/")
        array = _values(records, name, is_main=metric == row.main_metric)
        if array is not None and np.isfinite(array).all():
            found[metric] = array
    if not found or any("cluster" not in record for record in records):
        raise UserError(f"{path} has no scores of single examples; {remedy}.")
    return ExampleScores(tuple(r["id"] for r in records), tuple(r["cluster"] for r in records), found)


def _values(records: Sequence[Mapping[str, Any]], name: str, is_main: bool) -> NDArray[np.float64] | None:
    found = [record.get("scores", {}).get(name, record.get("score") if is_main else None) for record in records]
    return None if None in found else np.array(found, dtype=np.float64)


def _records(path: Path, remedy: str) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines if line.strip()]
        if all(isinstance(record, dict) and "id" in record for record in records) and records:
            return sorted(records, key=lambda record: str(record["id"]))
        raise UserError(f"{path} is damaged: a line is no record with an id; {remedy}.")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {remedy}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}; {remedy}.") from error


class TestSets:
    """The bootstraps of runs that have the same test examples: one for each metric, shared by all these runs."""

    __test__ = False  # no class of tests

    def __init__(self, runs: Mapping[Path, ExampleScores]) -> None:
        self._runs = runs
        self._drawn: dict[tuple[tuple[int | str, ...], str], tuple[Resampled, dict[Path, int]]] = {}

    def examples(self, rows: Sequence[Row]) -> ExampleScores | None:
        """The test examples that the rows share; None where they do not, or have no scores of examples."""
        found = [self._runs.get(row.folder) for row in rows if row.folder is not None]
        first = found[0] if found else None
        return first if first and all(each is not None and each.ids == first.ids for each in found) else None

    def resampled(self, rows: Sequence[Row], metric: str) -> Resampled | None:
        """A metric of some rows on the drawn test sets; None where one of them has no scores of its examples."""
        shared = self.examples(rows)
        if shared is None or len(set(shared.clusters)) < 2:
            return None
        if any(metric not in self._runs[row.folder].values for row in rows if row.folder is not None):
            return None
        drawn, places = self._bootstrap(shared, metric)
        return drawn.of([places[row.folder] for row in rows if row.folder is not None])

    def _bootstrap(self, shared: ExampleScores, metric: str) -> tuple[Resampled, dict[Path, int]]:
        key = (shared.ids, metric)
        if key not in self._drawn:
            same = {path: run for path, run in self._runs.items() if run.ids == shared.ids and metric in run.values}
            _, clusters = np.unique(list(map(str, shared.clusters)), return_inverse=True)
            drawn = statistics.resample(
                np.stack([run.values[metric] for run in same.values()]),
                clusters,
                resamples=RESAMPLES,
            )
            self._drawn[key] = drawn, {path: place for place, path in enumerate(same)}
        return self._drawn[key]
