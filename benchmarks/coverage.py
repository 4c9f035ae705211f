"""How often the intervals of `vlrouting.statistics` cover the truth, in simulation: `python benchmarks/coverage.py`.

A comparison has two variants, S seeds, and 60 clusters of 1 to 20 or so examples. The variance is between seeds,
between clusters, of clusters from seed to seed, and of single examples. The true difference is 0: what is not covered
is a false positive. `naive` is a t-test of the mean differences that knows neither clusters nor seeds. `seed` is the
standard deviation between seeds; `shared`: whether clusters and examples have something in common over the seeds; the
standard error of that alone is about 2.3. 2,000 comparisons a row: a share is known to about 0.5 points.

| seed | shared | S | covered by 95% | covered by 95%, naive |
|---:|---|---:|---:|---:|
| 0.0 | yes | 1 | 94.2 | 88.7 |
| 0.0 | yes | 2 | 98.5 | 88.9 |
| 0.0 | yes | 3 | 96.2 | 87.4 |
| 0.0 | yes | 5 | 95.2 | 90.2 |
| 0.0 | yes | 10 | 94.7 | 88.2 |
| 0.0 | no | 1 | 94.1 | 90.6 |
| 0.0 | no | 2 | 96.1 | 91.3 |
| 0.0 | no | 3 | 96.0 | 91.0 |
| 0.0 | no | 5 | 96.0 | 91.0 |
| 0.0 | no | 10 | 95.8 | 91.5 |
| 0.5 | yes | 1 | 93.7 | 88.7 |
| 0.5 | yes | 2 | 98.5 | 88.9 |
| 0.5 | yes | 3 | 96.3 | 87.3 |
| 0.5 | yes | 5 | 95.2 | 90.0 |
| 0.5 | yes | 10 | 94.9 | 88.5 |
| 0.5 | no | 1 | 92.2 | 88.5 |
| 0.5 | no | 2 | 96.7 | 90.2 |
| 0.5 | no | 3 | 96.2 | 88.2 |
| 0.5 | no | 5 | 95.5 | 89.0 |
| 0.5 | no | 10 | 95.5 | 89.0 |
| 2.0 | yes | 1 | 87.1 | 80.6 |
| 2.0 | yes | 2 | 98.4 | 84.8 |
| 2.0 | yes | 3 | 97.2 | 83.5 |
| 2.0 | yes | 5 | 96.0 | 87.8 |
| 2.0 | yes | 10 | 94.7 | 88.0 |
| 2.0 | no | 1 | 73.8 | 67.3 |
| 2.0 | no | 2 | 96.0 | 67.7 |
| 2.0 | no | 3 | 95.3 | 63.4 |
| 2.0 | no | 5 | 95.3 | 64.9 |
| 2.0 | no | 10 | 94.2 | 66.0 |
| 5.0 | yes | 1 | 64.2 | 55.5 |
| 5.0 | yes | 2 | 97.5 | 64.1 |
| 5.0 | yes | 3 | 96.5 | 67.5 |
| 5.0 | yes | 5 | 96.4 | 75.5 |
| 5.0 | yes | 10 | 95.7 | 81.5 |
| 5.0 | no | 1 | 40.0 | 34.5 |
| 5.0 | no | 2 | 95.2 | 34.6 |
| 5.0 | no | 3 | 94.2 | 32.2 |
| 5.0 | no | 5 | 94.5 | 33.5 |
| 5.0 | no | 10 | 94.8 | 35.1 |
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlrouting.statistics import interval

CLUSTERS = 60
COMPARISONS = 2_000
RESAMPLES = 200


@dataclass(frozen=True)
class Shares:
    """Of the simulated comparisons, in percent."""

    covered: float
    naive: float


def differences(
    random: np.random.Generator, seeds: int, seed_std: float, shared: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """((S, N) differences between two variants whose true difference is 0, (N,) clusters). `shared`: whether examples
    have something in common over the seeds."""
    clusters = np.repeat(np.arange(CLUSTERS), random.geometric(0.2, CLUSTERS))
    examples = len(clusters)
    found = random.normal(0, seed_std, (seeds, 1)) + random.normal(0, 20, (seeds, examples))
    found += random.normal(0, 4, (seeds, CLUSTERS))[:, clusters]
    common = random.normal(0, 8, CLUSTERS)[clusters] + random.normal(0, 30, examples)
    return found + shared * common, clusters


def simulate(seeds: int, seed_std: float, shared: bool = True, comparisons: int = COMPARISONS) -> Shares:
    """Compare again and again, on data that are drawn anew."""
    random = np.random.default_rng(seeds)
    covered = naive = 0
    for number in range(comparisons):
        scores, clusters = differences(random, seeds, seed_std, shared)
        found = interval(scores, clusters, resamples=RESAMPLES, seed=number)
        covered += found.low <= 0 <= found.high
        means = scores.mean(0)
        naive += abs(means.mean()) <= 1.96 * means.std(ddof=1) / np.sqrt(len(means))
    return Shares(100 * covered / comparisons, 100 * float(naive) / comparisons)


def main() -> None:
    """Print the table."""
    print("| seed | shared | S | covered by 95% | covered by 95%, naive |\n|---:|---|---:|---:|---:|")
    for seed_std, shared, seeds in itertools.product((0.0, 0.5, 2.0, 5.0), (True, False), (1, 2, 3, 5, 10)):
        found = simulate(seeds, seed_std, shared)
        row = f"| {seed_std} | {'yes' if shared else 'no'} | {seeds} | {found.covered:.1f} | {found.naive:.1f} |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
