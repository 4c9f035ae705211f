"""The bootstrap over test examples, shared by all runs that have the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vlrouting import statistics
from vlrouting.report.example_scores import ExampleScores
from vlrouting.report.rows import Row
from vlrouting.statistics import Resampled

RESAMPLES = 4_000
"""The bootstrap's standard errors are then known to about 1%; twenty intervals over 2,000 examples take a second."""


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
        scores = shared.metrics.get(metric) if shared is not None else None
        if shared is None or scores is None or len(set(scores.clusters)) < 2:
            return None
        drawn, places = self._bootstrap(shared, metric)
        found = [places.get(row.folder) for row in rows if row.folder is not None]
        return None if None in found else drawn.of([place for place in found if place is not None])

    def _bootstrap(self, shared: ExampleScores, metric: str) -> tuple[Resampled, dict[Path, int]]:
        """Of all runs with these examples that have the metric in the same form, and the row of each run."""
        scores = shared.metrics[metric]
        form = scores.values.shape
        key = (shared.ids, metric, form)
        if key not in self._drawn:
            candidates = {path: run.metrics.get(metric) for path, run in self._runs.items() if run.ids == shared.ids}
            same = {path: of for path, of in candidates.items() if of is not None and of.values.shape == form}
            _, clusters = np.unique(scores.clusters, return_inverse=True)
            drawn = statistics.resample(
                np.stack([of.values for of in same.values()]),
                clusters,
                resamples=RESAMPLES,
                statistic=scores.statistic,
            )
            # A test set without any example of a dataset has no mean; it is left out for all runs alike.
            kept = np.isfinite(drawn.replicates).all(axis=0)
            drawn = replace(drawn, replicates=drawn.replicates[:, kept])
            self._drawn[key] = drawn, {path: place for place, path in enumerate(same)}
        return self._drawn[key]
