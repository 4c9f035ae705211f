"""Sweeps: as many points as allowed, in time that grows with their number, each with a name of its own."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.experiment.writing import error_lines, write
from vlrouting.config.fit import without_none
from vlrouting.config.names import is_safe_name
from vlrouting.experiment import load
from vlrouting.experiment.schema import all_keys, hint_of, is_section
from vlrouting.experiment.sweep import point_name


def write_seeds(experiments: Path, seeds: int, more: str = "") -> None:
    grid = f"grid: {{bottleneck.routing: [none, add, mul, expand], seed: {list(range(seeds))}}}"
    write(experiments, "x", f"extends: [base/short]\nsweep: {{{grid}{more}}}\n")


def test_the_time_grows_with_the_points(experiments: Path) -> None:
    def seconds(seeds: int) -> float:
        write_seeds(experiments, seeds)
        started = time.process_time()
        assert len(load("x", check_files=lambda _: []).points) == 4 * seeds
        return time.process_time() - started

    seconds(5)
    small, large = (min(seconds(seeds) for _ in range(2)) for seeds in (250, 2500))
    assert large < 30 * small  # ten times would be linear; a hundred times was quadratic


def test_errors_in_every_point_take_no_longer(experiments: Path) -> None:
    write_seeds(experiments, 500)
    started = time.process_time()
    lines = error_lines(overrides=("bottleneck.rank=0", "bottleneck.place=after_up", "sweep.grid.train.lr=[-1]"))
    assert time.process_time() - started < 5
    assert sorted(line.split(": ")[1] for line in lines) == [
        "bottleneck.place, sweep.grid.bottleneck.routing",
        "bottleneck.rank",
        "sweep.grid.train.lr",
    ]


def test_the_cap(experiments: Path) -> None:
    write_seeds(experiments, 10**4 // 4 + 1)
    (line,) = error_lines()
    assert line.startswith("x.yaml: sweep: 10,004 points (4 bottleneck.routing x 2501 seed) are more than ")
    assert "sweep.max_points, 10,000" in line
    write_seeds(experiments, 3, ", max_points: 11")
    assert "12 points" in error_lines()[0]
    assert len(load("x", ["sweep.max_points=12"]).points) == 12
    for wrong in ("0", "-1", "many", "1.5", "true", "null"):
        (line,) = error_lines(overrides=(f"sweep.max_points={wrong}",))
        assert line.startswith("command line: sweep.max_points: expected a whole number above 0, got ")
    axes = ", ".join(
        f"{key}: {list(range(1, 1001))}"
        for key in all_keys()
        if key.startswith("train.") and not is_section(without_none(hint_of(key)))
    )
    started = time.process_time()
    write(experiments, "x", f"sweep: {{grid: {{{axes}}}}}\n")  # 10^60 points are not counted one by one
    assert len(error_lines()) == 1
    assert time.process_time() - started < 2


def test_points_share_what_they_have_in_common(experiments: Path) -> None:
    write_seeds(experiments, 2)
    first, second = load("x").points[:2]
    assert first.config.train is second.config.train and first.config.seed != second.config.seed


KEYS = st.sampled_from([key for key in all_keys() if "." in key])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=3,
)
LABELS = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,8}", fullmatch=True)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(LABELS, st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_name_is_safe_stable_and_says_every_axis(label: str | None, axes: dict[str, Any]) -> None:
    name = point_name(label, axes)
    assert is_safe_name(name) and "/" not in name and re.fullmatch(r"[\x21-\x7e]+", name)
    assert name == point_name(label, dict(axes))
    for key in axes:
        assert f"{key.rpartition('.')[2]}=" in name


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5, unique=True), st.permutations(["add", "mul", "gram"])
)
def test_names_are_unique_and_do_not_depend_on_the_order_of_values(seeds: list[int], routings: list[str]) -> None:
    pairs = [(routing, seed) for routing in routings for seed in seeds]
    names = {point_name(None, {"bottleneck.routing": routing, "seed": seed}) for routing, seed in pairs}
    assert len(names) == len(pairs)
    assert names == {
        point_name(None, {"bottleneck.routing": routing, "seed": seed})
        for routing in reversed(routings)
        for seed in sorted(seeds)
    }


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.floats(min_value=1e-30, max_value=1e30), st.floats(min_value=1e-30, max_value=1e30))
def test_different_numbers_have_different_names(one: float, other: float) -> None:
    names = {point_name(None, {"train.lr": value}) for value in (one, other)}
    assert len(names) == len({one, other})


@pytest.mark.parametrize("values", ["['a b', 'a  b']", "['a/b', 'a?b']", "[A, a]", "[1.0, 1]"])
def test_values_whose_names_are_alike_are_told(experiments: Path, values: str) -> None:
    key = "bottleneck.alpha" if "1" in values else "data.root"
    write(experiments, "x", f"extends: [base/short]\nsweep: {{grid: {{{key}: {values}}}}}\n")
    (line,) = error_lines()
    assert "points need names that differ" in line
