"""Metrics: strings in, numbers out; one file per metric, and one per dataset's score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlrouting.config import METRICS

if TYPE_CHECKING:
    from vlrouting.metrics.score import Score


def register_metric(name: str, score: type[Score]) -> None:
    """Make `DatasetFacts.metric: name` available. A module that calls this is named under an experiment's `plugins`.

    Raises:
        ValueError: the name is taken by another class.
    """
    METRICS.register(name, None, score)
