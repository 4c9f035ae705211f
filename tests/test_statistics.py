"""Intervals and tests: against scipy and statsmodels where those cover the case, by hand, and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmarks.coverage import differences, simulate
from vlrouting.statistics import Variances, holm, interval, paired_difference, power

SEEDS, EXAMPLES = 5, 40
RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(60, 2, (2, SEEDS))


def test_where_examples_do_not_differ_it_is_the_paired_t_test_over_seeds() -> None:
    a, b = (np.tile(each[:, None], EXAMPLES) for each in (A, B))
    found, expected = paired_difference(a, b, np.arange(EXAMPLES)), stats.ttest_rel(A, B)
    bounds = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), abs=1e-9)
    assert found.has_seed_component


@pytest.mark.parametrize("examples", [4, 400])
def test_with_one_seed_it_is_the_t_test_over_examples_and_says_so(examples: int) -> None:
    scores = np.random.default_rng(0).normal(0.1, 1, (1, examples))
    found = interval(scores, np.arange(examples), resamples=30_000)
    expected = stats.ttest_1samp(scores[0], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.02)  # a bootstrap
    assert not found.has_seed_component and found.seeds == 1 and found.variances.seed == 0


def test_equal_examples_of_a_cluster_count_once() -> None:
    scores, repeats = RANDOM.normal(0, 1, (1, 50)), 8
    once = interval(scores, np.arange(50))
    often = interval(np.repeat(scores, repeats, axis=1), np.repeat(np.arange(50), repeats))
    assert (often.mean, often.low, often.high) == pytest.approx((once.mean, once.low, once.high))
    alone = interval(np.repeat(scores, repeats, axis=1), np.arange(50 * repeats))
    assert alone.standard_error == pytest.approx(once.standard_error / repeats**0.5, rel=0.05)


def test_differences_that_are_equal_by_chance_are_not_taken_for_certain() -> None:
    """Both seeds gain two examples of sixty, other ones."""
    a = np.zeros((2, 60))
    a[0, :12], a[1, 30:42] = 100, 100
    b = np.zeros((2, 60))
    b[0, 5:15], b[1, 31:41] = 100, 100
    found = paired_difference(a, b, np.arange(60))
    assert found.mean == pytest.approx(200 / 60) and found.p_value > 0.3 and found.low < 0 < found.high
    same = paired_difference(a, a[:, ::-1], np.arange(60))
    assert (same.mean, same.p_value) == (0, 1) and same.minimum_detectable > 0


def test_what_examples_do_from_seed_to_seed_counts_once() -> None:
    """Independent scores have the standard error of as many independent numbers."""
    found = interval(np.random.default_rng(0).normal(0, 1, (40, 400)), np.arange(400))
    assert found.standard_error == pytest.approx((40 * 400) ** -0.5, rel=0.2)


def test_a_corpus_score_is_made_of_sums() -> None:
    """A ratio of sums, as BLEU's precisions are: with equal denominators it is the mean of the ratios."""
    hits, of = RANDOM.integers(0, 10, (3, 60)).astype(float), np.full((3, 60), 10.0)
    found = interval(np.stack([hits, of], -1), np.arange(60), statistic=lambda sums: sums[..., 0] / sums[..., 1])
    mean = interval(hits / of, np.arange(60))
    assert (found.mean, found.standard_error) == pytest.approx((mean.mean, mean.standard_error))
    pairs = [np.stack([each, of], -1) for each in (hits, hits[:, ::-1])]
    paired = paired_difference(*pairs, np.arange(60), statistic=lambda sums: sums[..., 0] / sums[..., 1])
    linear = paired_difference(hits / of, hits[:, ::-1] / of, np.arange(60))
    assert (paired.mean, paired.p_value) == pytest.approx((linear.mean, linear.p_value))


@pytest.mark.parametrize(
    "p_values", [[0.2], [0.01, 0.04, 0.03, 0.005], [0.9, 0.9, 0.02], [0.0, 1.0, 0.025, 0.025, 0.6]]
)
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-9)


def test_the_minimum_detectable_difference_is_found_four_times_out_of_five() -> None:
    a = RANDOM.normal(60, 20, (SEEDS, 300)) + A[:, None]
    found = paired_difference(a, RANDOM.normal(60, 20, (SEEDS, 300)), np.arange(300))
    sizes = {"clusters": 300, "variances": found.variances}
    assert power(found.minimum_detectable, SEEDS, **sizes) == pytest.approx(0.8, abs=1e-6)
    assert 0.03 < power(0, SEEDS, **sizes) < 0.051
    assert power(found.minimum_detectable, 2 * SEEDS, **sizes) > 0.8


def test_power_is_that_of_scipys_noncentral_t() -> None:
    error, freedom = 2.0, 4
    variances = Variances(seed=error**2 * 5, cluster=0, both=0)
    critical, ratio = stats.t.ppf(0.975, freedom), 3.0
    expected = stats.nct.sf(critical, freedom, ratio) + stats.nct.cdf(-critical, freedom, ratio)
    assert power(error * ratio, 5, clusters=100, variances=variances) == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "seed_std", "shared"), [(3, 5.0, True), (5, 2.0, True), (3, 2.0, False)])
def test_a_95_percent_interval_covers_the_truth_95_times_in_100(seeds: int, seed_std: float, shared: bool) -> None:
    shares = simulate(seeds, seed_std, shared, comparisons=1_500)
    assert 94 <= shares.covered <= 97.5  # under the null what is not covered is a false positive
    assert shares.naive < 90  # without clusters and seeds


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_the_p_value_is_the_significance_of_the_interval_that_ends_at_0(seeds: int) -> None:
    scores, clusters = differences(np.random.default_rng(seeds), seeds, 2.0)
    found = paired_difference(scores, np.zeros_like(scores), clusters)
    bounds = interval(scores, clusters, confidence=1 - found.p_value)
    assert min(abs(bounds.low), abs(bounds.high)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "clusters", "named"),
    [
        ([1.0, 2.0], [0, 1], r"\(seeds, examples\)"),
        ([[1.0, float("nan")]], [0, 1], "NaN"),
        ([[1.0, 2.0]], [0, 1, 2], r"2 examples.*\(3,\)"),
        ([[1.0, 2.0]], [7, 7], "1 cluster"),
        (np.zeros((0, 3)), [0, 1, 2], r"\(0, 3\)"),
    ],
)
def test_what_is_no_set_of_scores_is_refused(scores: object, clusters: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        interval(scores, clusters)  # type: ignore[arg-type]


def test_variants_with_other_seeds_or_examples_are_not_paired() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(1, 3\)"):
        paired_difference(np.zeros((2, 3)), np.zeros((1, 3)), [0, 1, 2])
