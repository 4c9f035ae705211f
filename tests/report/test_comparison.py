"""Comparisons against values computed by hand, on made-up run directories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.made_up_runs import METRIC, TITLE, make_run, make_variant, tuned_rate
from vlrouting.experiment import UserError
from vlrouting.report.comparison import Comparison, Variant, compare_runs

T2 = 4.302652729911275
"""97.5% quantile of Student's t with 2 degrees of freedom."""
T3 = 3.182446305284263
EXAMPLES = 6
SETTINGS, TUNED = tuned_rate()


def flat(*scores: float) -> np.ndarray:
    """(S, N): each seed has one score in every example, so that only seeds vary."""
    return np.repeat(np.array(scores)[:, None], EXAMPLES, axis=1)


def tuned_variant(folder: Path, name: str, scores: np.ndarray, **options: object) -> None:
    """A variant that nothing is missing of."""
    make_variant(folder, name, scores, **{"settings": SETTINGS, "tuned": TUNED, **options})


def variant(found: Comparison, label: str) -> Variant:
    (one,) = [each for each in found.variants if each.label == label]
    return one


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three tuned variants of three seeds: `mul` gains 3, 3.5 and 2.5, `add` 0.1, -0.1 and 0.3."""
    folder = tmp_path / "x"
    tuned_variant(folder, "routing=none", flat(60, 61, 62))
    tuned_variant(folder, "routing=mul", flat(63, 64.5, 64.5), trained_parameters=5_000, wall_seconds=10)
    tuned_variant(folder, "routing=add", flat(60.1, 60.9, 62.3), peak_memory_bytes=2**31)
    return folder


def test_differences_p_values_and_verdicts_are_those_computed_by_hand(three: Path) -> None:
    found = compare_runs([three])
    mul, add, none = (variant(found, f"routing={name}") for name in ("mul", "add", "none"))
    assert mul.difference is not None and add.difference is not None
    half = T2 * 0.5 / 3**0.5  # the standard deviation of 3, 3.5, 2.5 is 0.5
    assert (mul.difference.mean, mul.difference.low, mul.difference.high) == pytest.approx((3, 3 - half, 3 + half))
    assert (add.difference.mean, add.difference.high) == pytest.approx((0.1, 0.1 + T2 * 0.2 / 3**0.5))

    def p_of_t2(t: float) -> float:  # with 2 degrees of freedom the distribution has a closed form
        return float(1 - t / (2 + t**2) ** 0.5)

    p_mul, p_add = p_of_t2(3 / (0.5 / 3**0.5)), p_of_t2(0.1 / (0.2 / 3**0.5))
    assert (mul.difference.p_value, add.difference.p_value) == pytest.approx((p_mul, p_add), abs=1e-6)
    assert (mul.adjusted_p, add.adjusted_p) == pytest.approx((2 * p_mul, p_add), abs=1e-6)  # Holm: times 2, times 1
    assert (mul.verdict, add.verdict, none.verdict) == ("better", "no difference shown", None)
    assert found.baseline is none and mul.baseline == "routing=none" and none.difference is None
    assert (found.examples, found.clusters) == (EXAMPLES, 3)
    assert found.missing == () and found.flags == ()


def test_scores_costs_and_tuned_values(three: Path) -> None:
    found = compare_runs([three])
    mul, add = variant(found, "routing=mul"), variant(found, "routing=add")
    interval = mul.intervals[METRIC]
    assert interval.mean == pytest.approx(64)
    assert interval.high - 64 == pytest.approx(T2 * 0.75**0.5 / 3**0.5)  # 63, 64.5, 64.5: variance 0.75
    assert mul.values[METRIC] == (63, 64.5, 64.5) and mul.std(METRIC) == pytest.approx(0.75**0.5)
    assert (mul.trainable_parameters, mul.seconds, add.peak_memory_bytes) == (5_000, 10, 2**31)
    assert mul.tuned == {"train.lr": 0.001} and mul.at_edge == () and mul.control is None
    assert found.metric_title == TITLE and [row.seed for row in mul.runs] == [0, 1, 2]


def test_only_what_is_tied_with_the_best_is_marked(tmp_path: Path) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 61, 62))
    tuned_variant(tmp_path, "routing=mul", flat(63, 64.5, 64.5))
    tuned_variant(tmp_path, "routing=add", flat(63.2, 64.1, 64.6))  # -0.2, 0.4, -0.1 to mul
    marked = {each.label: each.tied_with_best for each in compare_runs([tmp_path]).variants}
    assert marked == {"routing=none": False, "routing=mul": True, "routing=add": True}


def test_the_interval_of_one_seed_is_over_clusters_and_gives_no_verdict(tmp_path: Path) -> None:
    scores = np.array([[0, 0, 100, 0, 100, 100, 100, 100.0]])  # clusters of two: 0, 50, 100, 100
    make_variant(tmp_path, "routing=none", scores)
    make_variant(tmp_path, "routing=mul", 100 - scores)
    found = compare_runs([tmp_path])
    none, mul = variant(found, "routing=none"), variant(found, "routing=mul")
    interval = none.intervals[METRIC]
    variance = ((0 - 62.5) ** 2 + (50 - 62.5) ** 2 + 2 * (100 - 62.5) ** 2) / 3
    assert interval.mean == 62.5 and interval.high - 62.5 == pytest.approx(T3 * (variance / 4) ** 0.5, rel=0.05)
    assert mul.difference is not None and mul.difference.mean == -25 and not mul.difference.has_seed_component
    assert (mul.verdict, mul.adjusted_p) == (None, None)
    assert not any(each.tied_with_best for each in found.variants)
    assert any("more than one training seed" in text and "all variants" in text for text in found.missing)
    assert found.summary.startswith("No verdict yet: each variant has one training seed")


def test_equal_scores_are_no_difference(tmp_path: Path) -> None:
    for name in ("routing=none", "routing=mul"):
        tuned_variant(tmp_path, name, flat(60, 61, 62))
    mul = variant(compare_runs([tmp_path]), "routing=mul")
    assert mul.difference is not None
    assert (mul.verdict, mul.difference.mean, mul.adjusted_p) == ("no difference shown", 0, 1)
    assert all(each.tied_with_best for each in compare_runs([tmp_path]).variants)


def test_what_is_missing_for_a_verdict(tmp_path: Path) -> None:
    _, at_edge = tuned_rate(edges=["train.lr"])
    tuned_variant(tmp_path, "routing=none", flat(60, 61, 62))
    tuned_variant(tmp_path, "routing=mul", flat(64, 65), tuned=at_edge)
    make_run(tmp_path, "routing=mul,seed=2", seed=2, status="failed", error="out of\nmemory")
    make_variant(tmp_path, "routing=add", flat(60), settings=SETTINGS)
    make_run(tmp_path, "routing=gram,seed=0")
    found = compare_runs([tmp_path])
    expected = {
        "more than one training seed": "routing=add",
        "tuned per variant": "routing=add",
        "a wider tuning grid": "routing=mul has train.lr=0.001 at its edge",
        "seeds:": "routing=mul lacks 2",
        "complete points": "routing=mul,seed=2 failed, routing=gram,seed=0 running",
    }
    assert len(found.missing) == len(expected)
    for text, (what, who) in zip(found.missing, expected.items(), strict=True):
        assert what in text and text.endswith(who), text
    mul, gram = variant(found, "routing=mul"), variant(found, "routing=gram")
    assert mul.at_edge == ("train.lr",)
    assert [(row.status, row.reason) for row in mul.unfinished] == [("failed", "out of\nmemory")]
    assert gram.runs == () and [row.status for row in gram.unfinished] == ["running"]
    assert found.complete == found.variants[:3] and found.summary.startswith("Provisional: ")


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 70, 80), seeds=(0, 1, 2))
    tuned_variant(tmp_path, "routing=mul", flat(99, 82, 71), seeds=(7, 2, 1))
    mul = variant(compare_runs([tmp_path]), "routing=mul")
    assert mul.difference is not None
    assert (mul.difference.mean, mul.difference.seeds) == (1.5, 2)  # 82 - 80 and 71 - 70; 7 has no partner


def test_examples_are_paired_by_id(tmp_path: Path) -> None:
    scores = np.array([[0, 10, 20, 30, 40, 50.0]])
    make_variant(tmp_path, "routing=none", scores)
    reversed_ids = [{"id": number} for number in (5, 4, 3, 2, 1, 0)]
    clusters = [f"image{number // 2}.png" for number in (5, 4, 3, 2, 1, 0)]
    make_variant(tmp_path, "routing=mul", scores[:, ::-1], examples=reversed_ids, clusters=clusters)
    mul = variant(compare_runs([tmp_path]), "routing=mul")
    assert mul.difference is not None and mul.difference.mean == mul.difference.standard_error == 0


def test_other_test_examples_give_no_difference(tmp_path: Path) -> None:
    tuned_variant(tmp_path, "routing=none", flat(60, 61, 62))
    tuned_variant(tmp_path, "routing=mul", flat(63, 64, 65), examples=[{"id": 10 + n} for n in range(EXAMPLES)])
    found = compare_runs([tmp_path])
    mul = variant(found, "routing=mul")
    assert (mul.difference, mul.verdict) == (None, None) and METRIC in mul.intervals
    assert any("other test examples" in flag for flag in found.flags)


def test_runs_without_scores_of_examples_have_mean_and_deviation_only(tmp_path: Path) -> None:
    for name in ("routing=none", "routing=mul"):
        tuned_variant(tmp_path, name, flat(60, 61, 62))
    for run in tmp_path.glob("routing=mul,*"):
        (run / "predictions.jsonl").unlink()
    found = compare_runs([tmp_path])
    mul = variant(found, "routing=mul")
    assert (mul.mean(METRIC), mul.std(METRIC), mul.intervals, mul.difference) == (61, 1, {}, None)
    (flag,) = [flag for flag in found.flags if "predictions.jsonl" in flag]
    assert f"vlrouting evaluate {tmp_path.name}" in flag and "2 more points" in flag
    assert any("vlrouting evaluate" in text and "routing=mul" in text for text in found.missing)


def test_another_metric_can_be_chosen(tmp_path: Path) -> None:
    for name, gain in (("routing=none", 0), ("routing=mul", 1)):
        for seed in range(3):
            further = {"test/yes_no": np.full(EXAMPLES, 40 + seed + gain * (1 + seed / 10))}
            settings = {"bottleneck.routing": name.partition("=")[2]}
            make_run(
                tmp_path, f"{name},seed={seed}", np.full(EXAMPLES, 60.0), seed=seed, settings=settings, further=further
            )
    found = compare_runs([tmp_path], metric="test/yes_no")
    mul = variant(found, "routing=mul")
    assert mul.difference is not None and mul.difference.mean == pytest.approx((1 + 1.1 + 1.2) / 3)
    assert list(found.titles) == ["test/yes_no", METRIC] and mul.intervals[METRIC].mean == 60
    with pytest.raises(UserError, match=r"no metric 'test/yes-no'\. Did you mean 'test/yes_no'"):
        compare_runs([tmp_path], metric="test/yes-no")


def test_nothing_complete_and_nothing_at_all(tmp_path: Path) -> None:
    make_run(tmp_path / "x", "routing=none")
    found = compare_runs([tmp_path / "x"])
    assert found.complete == () and found.summary == "No point is complete yet."
    with pytest.raises(UserError, match="holds no runs; train the experiment: vlrouting train nowhere"):
        compare_runs([tmp_path / "nowhere"])


def test_a_single_variant_misses_nothing(tmp_path: Path) -> None:
    make_variant(tmp_path, "default", flat(60))
    found = compare_runs([tmp_path])
    assert found.missing == () and found.baselines == () and "no other complete variant" in found.summary
