"""How sure a comparison is: intervals and tests over training seeds and test examples. Needs numpy and scipy only.

A score varies for two reasons: the training seed, and which test examples were drawn. Examples that share an image are
not independent, so the unit that is drawn is the cluster. With S seeds and G clusters the variance of a mean score is

    V = V_seed + V_examples

V_seed is the variance of the seeds' scores divided by S. V_examples is the variance, under a bootstrap of the clusters,
of the score averaged over the seeds, less what single clusters do from seed to seed, which V_seed has already (the
two-way sandwich of Cameron, Gelbach and Miller, 2011, https://doi.org/10.1198/jbes.2010.07136). Each part has the
quantile t of its own degrees of freedom, S - 1 and G - 1: the interval is

    mean +- sqrt(t(S - 1)^2 V_seed + t(G - 1)^2 V_examples).

Where examples do not differ it is the t interval over seeds, exactly. One t for the sum, with Satterthwaite's degrees
of freedom, covers too little with three seeds; so does taking what both parts share out of V_seed. With one seed there
is no V_seed: the interval then holds for this one training run, not for the method, and `seeds` says so.
`benchmarks/coverage.py` shows how often the intervals cover the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Sums over examples (..., K) -> score (...): what makes a corpus score of sums, such as BLEU of summed counts. The
default is the mean: the sum divided by the number of examples."""
POWER = 0.8
"""Of `minimum_detectable`: the customary one."""
_QUANTILES = (500, 20)
"""Of the estimated variance of seeds, and of examples, over which power is averaged."""
_DIGITS = 13
"""Of a score that are not rounding errors."""
_CHUNK = 4_000_000
"""Most cluster weights that the bootstrap holds at once."""


@dataclass(frozen=True)
class Variances:
    """Where the variance of a score, or of a difference, comes from; each scaled to one seed and one cluster.

    Attributes:
        seed: between training seeds, over all possible test examples. 0 with one seed.
        cluster: between clusters, of the average over all seeds.
        both: of single clusters from seed to seed. 0 with one seed.
    """

    seed: float
    cluster: float
    both: float

    def parts(self, seeds: int, clusters: int) -> tuple[float, float]:
        """(V_seed, V_examples) of the score that `seeds` seeds and `clusters` clusters give."""
        return self.seed / seeds + self.both / (seeds * clusters), self.cluster / clusters


@dataclass(frozen=True)
class Interval:
    """A score and how far it can be trusted.

    Attributes:
        mean: over seeds.
        low, high: ends of the confidence interval.
        standard_error: of `mean`.
        seeds: S. With 1 the interval does not hold for another training run.
        clusters: G.
        variances: its components, which `power` takes.
    """

    mean: float
    low: float
    high: float
    standard_error: float
    seeds: int
    clusters: int
    variances: Variances

    @property
    def has_seed_component(self) -> bool:
        """Whether the interval accounts for the training seed."""
        return self.seeds > 1


@dataclass(frozen=True)
class Difference(Interval):
    """A difference between two variants.

    Attributes:
        p_value: two-sided, of no difference.
        minimum_detectable: the smallest true difference that this comparison would have shown four times out of five.
    """

    p_value: float
    minimum_detectable: float


@dataclass(frozen=True)
class Resampled:
    """Scores on the test set and on test sets that are drawn from it; all rows of one `resample` share the draws.

    Attributes:
        values: (S,) scores on the test set.
        replicates: (S, resamples) scores on the drawn ones.
        clusters: G.
    """

    values: Array
    replicates: Array
    clusters: int

    def of(self, rows: Sequence[int]) -> Resampled:
        """Some of the rows, in the order given."""
        return Resampled(self.values[list(rows)], self.replicates[list(rows)], self.clusters)

    def interval(self, confidence: float = 0.95) -> Interval:
        """Confidence interval of the mean over the rows."""
        return _interval(self.values, self.replicates, self.clusters, confidence)

    def difference(self, other: Resampled, confidence: float = 0.95) -> Difference:
        """Confidence interval and test of this less `other`; row s of both was trained with the same seed."""
        # Equal scores of other examples differ in their last digits, which are no difference.
        largest = max(np.abs(self.values).max(), np.abs(other.values).max()) or 1.0
        values = np.round(self.values - other.values, _DIGITS - int(np.ceil(np.log10(largest))))
        less = Resampled(values, self.replicates - other.replicates, self.clusters)
        found = less.interval(confidence)
        detectable = minimum_detectable(found, confidence)
        return Difference(**vars(found), p_value=_p_value(found), minimum_detectable=detectable)


def resample(
    scores: ArrayLike,
    clusters: ArrayLike,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    statistic: Statistic | None = None,
) -> Resampled:
    """The cluster bootstrap, once for all variants that have the same test examples: their draws are the same.

    Args:
        scores: (S, N) of S runs on the same N test examples; with `statistic` (S, N, K).
        clusters, resamples, seed, statistic: as `interval` takes them.

    Raises:
        ValueError: as `interval`.
    """
    found = _scores(scores)
    return Resampled(*_bootstrap(found, clusters, resamples=resamples, seed=seed, statistic=statistic))


def interval(
    scores: ArrayLike,
    clusters: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    statistic: Statistic | None = None,
) -> Interval:
    """Confidence interval of a score.

    Args:
        scores: (S, N) of S training seeds on the same N test examples; with `statistic` (S, N, K).
        clusters: (N,) label of what belongs together, such as the image.
        confidence: probability that the interval holds the truth.
        resamples: of the bootstrap over clusters.
        seed: of the bootstrap; the same seed gives the same interval.
        statistic: makes the score of sums over examples; default: the mean.

    Raises:
        ValueError: the arrays do not fit, hold NaN, or there are fewer than two clusters.
    """
    return resample(scores, clusters, resamples=resamples, seed=seed, statistic=statistic).interval(confidence)


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    clusters: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    statistic: Statistic | None = None,
) -> Difference:
    """Confidence interval and test of the difference a - b between two variants.

    Args:
        a, b: (S, N) each: row s of both was trained with the same seed, column n is the same test example; with
            `statistic` (S, N, K).
        clusters, confidence, resamples, seed, statistic: as `interval` takes them.

    Raises:
        ValueError: as `interval`, or `a` and `b` are of different shapes.
    """
    first, second = _scores(a), _scores(b)
    if first.shape != second.shape:
        raise ValueError(
            f"a is {first.shape} and b is {second.shape}; a paired difference needs the same seeds and test examples"
        )
    both = np.concatenate([first, second])
    found = resample(both, clusters, resamples=resamples, seed=seed, statistic=statistic)
    seeds = len(first)
    return found.of(range(seeds)).difference(found.of(range(seeds, 2 * seeds)), confidence)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given: comparing them with 5% keeps the probability of any false
    positive among all comparisons at 5%."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(largest, 1.0)
    return adjusted


def power(difference: float, seeds: int, *, clusters: int, variances: Variances, confidence: float = 0.95) -> float:
    """Probability that a comparison shows a true difference of this size.

    Args:
        difference: between the variants, in the unit of the score.
        seeds: S of each variant.
        clusters: G of the test set.
        variances: of a difference: of an earlier comparison (`Difference.variances`), or assumed.
        confidence: the difference is shown where its interval of this confidence excludes 0.
    """
    return _power(abs(difference), variances, (seeds, clusters), confidence)


def _scores(given: ArrayLike) -> Array:
    scores = np.asarray(given, dtype=np.float64)
    if scores.ndim not in (2, 3) or scores.shape[0] == 0:
        raise ValueError(f"scores are (seeds, examples), not an array of shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores hold NaN or infinity; a comparison needs a score of every example")
    return scores


def _bootstrap(
    scores: Array, clusters: ArrayLike, *, resamples: int, seed: int, statistic: Statistic | None
) -> tuple[Array, Array, int]:
    """(scores (S,), scores of the resampled test sets (S, resamples), number of clusters)."""
    labels = np.asarray(clusters)
    if labels.shape != scores.shape[1:2]:
        raise ValueError(f"{scores.shape[1]} examples have {labels.shape} cluster labels; each needs one")
    _, group = np.unique(labels, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    if groups < 2:
        raise ValueError(f"{groups} cluster of test examples; an interval needs at least two")
    if statistic is None:
        scores, statistic = np.stack([scores, np.ones_like(scores)], axis=-1), _mean
    sums = np.zeros((groups, scores.shape[0], scores.shape[-1]))  # (G, S, K)
    np.add.at(sums, group, scores.swapaxes(0, 1))
    flat, random = sums.reshape(groups, -1), np.random.default_rng(seed)
    parts = []
    for start in range(0, resamples, size := max(1, _CHUNK // groups)):
        count = min(size, resamples - start)
        drawn = random.integers(0, groups, (count, groups)) + groups * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups)
        parts.append(statistic((weights @ flat).reshape(count, *sums.shape[1:])))
    return statistic(sums.sum(0)), np.concatenate(parts).T, groups


def _mean(sums: Array) -> Array:
    """(..., 2): sum of the scores and number of examples -> mean."""
    mean: Array = sums[..., 0] / sums[..., 1]
    return mean


def _interval(values: Array, replicates: Array, groups: int, confidence: float) -> Interval:
    seeds = len(values)
    # A bootstrap of G clusters has the variance of G, not of G - 1.
    of_examples = replicates.mean(0).var(ddof=1) * groups / (groups - 1)
    of_seeds = of_both = 0.0
    if seeds > 1:
        of_seeds = values.var(ddof=1) / seeds
        apart = (replicates - replicates.mean(0)).var(axis=1, ddof=1) * groups / (groups - 1)
        of_both = apart.sum() / (seeds * (seeds - 1))
        if np.ptp(values) == 0:  # by chance: scores of few examples are often equal
            of_seeds = of_both
    of_clusters = max(of_examples - of_both, 0)
    of_both = min(of_both, of_seeds)  # no component is negative
    variances = Variances(
        seed=float((of_seeds - of_both) * seeds),
        cluster=float(of_clusters * groups),
        both=float(of_both * seeds * groups),
    )
    parts = variances.parts(seeds, groups)
    half = float(_half_width(parts, (seeds, groups), 1 - confidence))
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half, float(np.sqrt(sum(parts))), seeds, groups, variances)


def _half_width(parts: tuple[Any, Any], sizes: tuple[int, int], significance: float) -> Any:
    """Of the interval that leaves out the truth with probability `significance`; parts are (V_seed, V_examples)."""
    of_seeds, of_clusters = (stats.t.isf(significance / 2, max(size - 1, 1)) for size in sizes)
    return np.sqrt(of_seeds**2 * parts[0] + of_clusters**2 * parts[1])


def _p_value(found: Interval) -> float:
    """The significance of the interval that ends at 0."""
    parts, sizes = found.variances.parts(found.seeds, found.clusters), (found.seeds, found.clusters)
    if found.mean == 0 or sum(parts) == 0:
        return float(found.mean == 0)

    def beyond(log_p: float) -> float:
        return float(_half_width(parts, sizes, np.exp(log_p)) - abs(found.mean))

    smallest = -36.0  # of about 1e-16; smaller ones are 0
    return float(np.exp(optimize.brentq(beyond, smallest, 0.0, xtol=1e-13))) if beyond(smallest) > 0 else 0.0


def _power(difference: float, variances: Variances, sizes: tuple[int, int], confidence: float) -> float:
    """Probability that an interval excludes 0: over the difference that is found, and over the estimates of both parts
    of its variance, at the middles of their quantiles."""
    error = sum(variances.parts(*sizes)) ** 0.5
    if error == 0:
        return float(difference > 0)
    half = _half_width(_estimated_parts(variances, sizes), sizes, 1 - confidence)
    return float((stats.norm.sf((half - difference) / error) + stats.norm.cdf((-half - difference) / error)).mean())


def _estimated_parts(variances: Variances, sizes: tuple[int, int]) -> tuple[Array, Array]:
    """V_seed (1, n) and V_examples (m, 1) as runs of these sizes would estimate them, in the way of `_interval`."""
    seeds, clusters = sizes
    of_seeds, of_clusters = variances.parts(seeds, clusters)
    of_both = variances.both / (seeds * clusters)
    between = of_seeds * _estimates(seeds - 1, _QUANTILES[0])[None, :] if seeds > 1 else np.zeros((1, 1))
    examples = (of_clusters + of_both) * _estimates(max(clusters - 1, 1), _QUANTILES[1])[:, None]
    return between, np.maximum(examples - of_both, 0)


@cache
def _estimates(freedom: int, count: int) -> Array:
    """Estimates of a variance of 1, at the middles of their `count` quantiles."""
    found: Array = stats.chi2.ppf((np.arange(count) + 0.5) / count, freedom) / freedom
    return found


def minimum_detectable(found: Interval, confidence: float = 0.95) -> float:
    """The true difference that a comparison like `found` shows with probability `POWER`, where it is shown if its
    interval of this confidence excludes 0. Of several comparisons under Holm's method, 1 - 0.05 / their number is the
    confidence that is needed at most."""
    variances, sizes = found.variances, (found.seeds, found.clusters)
    parts = variances.parts(*sizes)
    if sum(parts) == 0:
        return 0.0
    largest = 4 * float(_half_width((parts[0], sum(parts)), sizes, 1 - confidence))
    return float(optimize.brentq(lambda size: _power(size, variances, sizes, confidence) - POWER, 0, largest))
