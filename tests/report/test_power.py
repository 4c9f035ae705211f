"""`vlrouting power`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.command_line import vlrouting
from tests.made_up_runs import make_variant
from tests.report.test_comparison import flat
from tests.tiny_experiment import write_experiment
from vlrouting.experiment import UserError
from vlrouting.report import compare_runs
from vlrouting.report.power import Assumptions, power_table


def of_t(difference: float, error: float, freedom: int, alpha: float = 0.05) -> float:
    """Power of a two-sided t-test."""
    critical, ratio = stats.t.ppf(1 - alpha / 2, freedom), difference / error
    return float(stats.nct.sf(critical, freedom, ratio) + stats.nct.cdf(-critical, freedom, ratio))


def test_without_variance_of_examples_it_is_the_power_of_the_t_test() -> None:
    assumed = Assumptions(seed_std=0.3, example_std=0, clusters=100)
    found = power_table(0.5, assumed=assumed)
    for seeds in (2, 3, 5, 10):
        expected = of_t(0.5, (2 * 0.3**2 / seeds) ** 0.5, seeds - 1)
        assert found.power[seeds, 100] == pytest.approx(expected, abs=2e-3), seeds
    # two-sample normal approximation: n = 2 (1.96 + 0.84)^2 0.3^2 / 0.5^2 = 5.6; small samples need some more
    assert found.enough == 8 and not any(seeds == 1 for seeds, _ in found.power)


def test_without_variance_of_seeds_it_is_the_power_of_the_test_over_examples() -> None:
    found = power_table(1, assumed=Assumptions(seed_std=0, example_std=20, clusters=1_600))
    assert found.clusters == (400, 800, 1_600, 3_200, 6_400)
    for clusters in found.clusters:
        assert found.power[5, clusters] == pytest.approx(of_t(1, 20 / clusters**0.5, clusters - 1), abs=5e-3)


def test_several_comparisons_need_more(tmp_path: Path) -> None:
    one, four = (
        power_table(0.5, assumed=Assumptions(seed_std=0.3, example_std=0, clusters=100, comparisons=number))
        for number in (1, 4)
    )
    expected = of_t(0.5, (2 * 0.3**2 / 5) ** 0.5, 4, alpha=0.05 / 4)
    assert four.power[5, 100] == pytest.approx(expected, abs=2e-3) and one.power[5, 100] > four.power[5, 100]


def test_the_variances_are_the_median_of_the_runs(tmp_path: Path) -> None:
    make_variant(tmp_path, "routing=none", flat(60, 60, 60))
    for name, spread in {"add": 0.1, "mul": 0.5, "gram": 4}.items():  # std of -spread, 0, spread
        make_variant(tmp_path, f"routing={name}", flat(60 - spread, 60, 60 + spread))
    found = power_table(1, compare_runs([tmp_path]), seeds=[4])
    assert found.comparisons == 3 and found.present == 3 and "median over 3 differences" in found.source
    assert found.power[4, 3] == pytest.approx(of_t(1, 0.5 / 4**0.5, 3, alpha=0.05 / 3), abs=2e-3)


def test_one_seed_needs_an_assumption_about_seeds(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(60, 10, (1, 60))
    make_variant(tmp_path, "routing=none", scores)
    make_variant(tmp_path, "routing=mul", scores + np.random.default_rng(1).normal(0, 10, (1, 60)))
    found = compare_runs([tmp_path])
    with pytest.raises(UserError, match="--assume-seed-std"):
        power_table(1, found)
    table = power_table(1, found, assumed=Assumptions(seed_std=0.2))
    assert table.present == 30 and "1 difference" in table.source and "assumed" in table.source


@pytest.mark.parametrize(
    ("assumed", "difference", "named"),
    [
        (Assumptions(), 1, "--assume-seed-std"),
        (Assumptions(seed_std=1), 1, "--assume-example-std"),
        (Assumptions(seed_std=1, example_std=1), 1, "--clusters"),
        (Assumptions(seed_std=1, example_std=1, clusters=9), 0, "--difference 0: .* above 0"),
    ],
)
def test_what_is_missing_is_named(assumed: Assumptions, difference: float, named: str) -> None:
    with pytest.raises(UserError, match=named):
        power_table(difference, assumed=assumed)


def test_the_command_before_anything_was_run(tmp_path: Path) -> None:
    write_experiment(tmp_path, sweep={"grid": {"bottleneck.routing": ["none", "add", "mul"], "seed": [1, 2]}})
    refused = vlrouting("power", "tiny.yaml", "--difference", "0.5", cwd=tmp_path)
    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1
    assumed = ("--assume-seed-std", "0.3", "--assume-example-std", "0", "--clusters", "100")
    done = vlrouting(
        "power", "tiny.yaml", "--difference", "0.5", *assumed, "--seeds", "1", "--seeds", "5", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if "%" in line and "Bold" not in line]
    share = of_t(0.5, (2 * 0.3**2 / 5) ** 0.5, 4, alpha=0.05 / 2)  # three variants: two differences
    assert rows[0][0] == "5" and rows[0][3] == f"{100 * share:.0f}%"
    assert "no verdict" in done.stdout and not (tmp_path / "runs").exists()
    unknown = vlrouting("power", "tinny.yaml", cwd=tmp_path)
    assert unknown.returncode == 2
