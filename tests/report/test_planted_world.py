"""Worlds whose truth is known: what is equal is not called better, and what is better is called so as often as power
predicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tests.made_up_runs import make_variant
from vlrouting.report import compare_runs
from vlrouting.statistics import Variances, power

pytestmark = pytest.mark.slow
SEEDS, CLUSTERS, SIZE = 3, 30, 2
SEED_STD, CLUSTER_STD, EXAMPLE_STD = 0.35, 1.5, 3.0
"""Of a variant's score between seeds; of the difference between clusters; of a variant's single scores."""
NAMES = ("routing=none", "routing=mul")


def drawn(random: np.random.Generator, gain: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(S, N) scores of both variants: new seeds and new test examples. Examples differ in difficulty, which both share,
    and clusters in what the gain is there."""
    examples = CLUSTERS * SIZE
    difficulty = random.normal(60, 25, examples)
    per_cluster = np.repeat(random.normal(gain, CLUSTER_STD, CLUSTERS), SIZE)
    pair = [
        difficulty + random.normal(0, SEED_STD, (SEEDS, 1)) + random.normal(0, EXAMPLE_STD, (SEEDS, examples))
        for _ in NAMES
    ]
    return pair[0], pair[1] + per_cluster


def verdicts(folder: Path, gain: float, worlds: int) -> Iterator[str | None]:
    """Of the second variant, in world after world; only the scores in the run directories change."""
    random = np.random.default_rng(2024)
    for name, scores in zip(NAMES, drawn(random, gain), strict=True):
        make_variant(folder, name, scores)
    for _ in range(worlds):
        for name, scores in zip(NAMES, drawn(random, gain), strict=True):
            for seed, row in enumerate(scores):
                lines = [
                    {"id": n, "cluster": n // SIZE, "score": score, "scores": {"vqa_accuracy": score}}
                    for n, score in enumerate(row)
                ]
                path = folder / f"{name},seed={seed}" / "predictions.jsonl"
                path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        yield next(each.verdict for each in compare_runs([folder]).variants if each.name == NAMES[1])


def test_the_same_model_under_two_names_is_no_difference(tmp_path: Path) -> None:
    counted = Counter(verdicts(tmp_path, gain=0, worlds=100))
    assert counted["no difference shown"] >= 94 and sum(counted.values()) == 100, counted


def test_a_gain_of_two_points_is_better_as_often_as_power_predicts(tmp_path: Path) -> None:
    variances = Variances(seed=2 * SEED_STD**2, cluster=CLUSTER_STD**2, both=2 * EXAMPLE_STD**2 / SIZE)
    predicted = power(2, SEEDS, clusters=CLUSTERS, variances=variances)
    assert 0.5 < predicted < 0.9  # else the test shows little
    counted = Counter(verdicts(tmp_path, gain=2, worlds=60))
    least, most = stats.binom.interval(0.95, 60, predicted)
    assert least <= counted["better"] <= most and not counted["worse"], (predicted, counted)
