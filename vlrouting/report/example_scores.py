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
from vlrouting.metrics.per_example import scored, statistic, values
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
    records = scored(_records(path, remedy))
    found = {}
    for metric in metrics:
        try:
            array = values(records, metric)
            if array is None and metric == row.main_metric:  # a run of an older version
                array = np.array([record["score"] for record in records], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: a score of {metric} is no number; {remedy}.") from error
        if array is not None and np.isfinite(array).all() and (array.ndim == 1 or statistic(metric) is not None):
            found[metric] = array
    if not records or not found or any("cluster" not in record for record in records):
        raise UserError(f"{path} has no scores of single examples; {remedy}.")
    return ExampleScores(tuple(r["id"] for r in records), tuple(r["cluster"] for r in records), found)


def _records(path: Path, remedy: str) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # a text may have other line breaks
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
        self._drawn: dict[object, tuple[Resampled, dict[Path, int]]] = {}

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
        if metric not in shared.values:
            return None
        drawn, places = self._bootstrap(shared, metric)
        found = [places.get(row.folder) for row in rows if row.folder is not None]
        return None if None in found else drawn.of([place for place in found if place is not None])

    def _bootstrap(self, shared: ExampleScores, metric: str) -> tuple[Resampled, dict[Path, int]]:
        """Of all runs with these examples that have the metric in the same form, and the row of each run."""
        form = shared.values[metric].shape
        key = (shared.ids, metric, form)
        if key not in self._drawn:
            candidates = {path: run for path, run in self._runs.items() if run.ids == shared.ids}
            same = {path: run for path, run in candidates.items() if metric in run.values}
            same = {path: run for path, run in same.items() if run.values[metric].shape == form}
            _, clusters = np.unique(list(map(str, shared.clusters)), return_inverse=True)
            drawn = statistics.resample(
                np.stack([run.values[metric] for run in same.values()]),
                clusters,
                resamples=RESAMPLES,
                statistic=statistic(metric) if len(form) > 1 else None,
            )
            self._drawn[key] = drawn, {path: place for place, path in enumerate(same)}
        return self._drawn[key]
