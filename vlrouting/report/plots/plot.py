"""A plot, and what it takes of a variant."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.figure import Figure

from vlrouting.report.comparison import Comparison, Variant


@dataclass(frozen=True)
class Plot:
    """A plot, or why there is none."""

    name: str
    """Of its files, without suffix."""
    title: str
    text: str
    """What the plot shows; without a figure, the data that it would need."""
    figure: Figure | None = None


@dataclass(frozen=True)
class Shown:
    """A variant with what a plot shows of it."""

    variant: Variant
    scores: list[float]
    """The main metric of every seed."""
    low: float | None = None
    high: float | None = None
    """Ends of the interval, where there is one."""
    has_seed_component: bool = False

    @property
    def label(self) -> str:
        """The variant's name."""
        return self.variant.label

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.scores)


def with_scores(comparison: Comparison) -> list[Shown]:
    """The variants that have the main metric, the best one first."""
    found = []
    for variant in comparison.variants:
        scores = [row.metrics[comparison.metric] for row in variant.runs if comparison.metric in row.metrics]
        interval = variant.intervals.get(comparison.metric)
        if scores and interval is not None:
            found.append(Shown(variant, scores, interval.low, interval.high, interval.has_seed_component))
        elif scores:
            found.append(Shown(variant, scores))
    return sorted(found, key=lambda shown: -shown.mean)


def padded(values: Iterable[float], share: float = 0.06) -> tuple[float, float]:
    """Limits of an axis: the range of the values and a margin."""
    present = list(values)
    low, high = min(present), max(present)
    margin = share * ((high - low) or abs(high) or 1.0)
    return low - margin, high + margin
