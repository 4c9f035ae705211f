"""Settings of the command line are checked like those of a file, and hold for every point."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.experiment import load


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "expected key=value, got 'seed'"),
        ("=4", "expected key=value, got '=4'"),
        ("seed=", "seed: expected a whole number, got null"),
        ("seed=4.5", "seed: expected a whole number, got 4.5"),
        ("sed=4", "sed: unknown key. Did you mean 'seed'?"),
        ("--seed=4", "--seed: unknown key. Did you mean 'seed'?"),
        ("bottleneck..rank=4", "bottleneck..rank: unknown key. Did you mean 'bottleneck.rank'?"),
        ("botleneck.rnk=4", "botleneck.rnk: unknown key. Did you mean 'bottleneck.rank'"),
        ("bottleneck=3", "bottleneck: is a section: expected keys below it"),
        ("bottleneck={rank: 4, rnk: 5}", "bottleneck.rnk: unknown key. Did you mean 'bottleneck.rank'?"),
        (
            "bottleneck.kind=ADAPTER",
            "bottleneck.kind: 'ADAPTER' is not one of none, lora, adapter, ia3",
        ),
        (
            "bottleneck.targets=[query",
            "bottleneck.targets: not valid YAML: expected ',' or ']', but got '<stream end>'",
        ),
        ("data.splits.a.qestions=q", "data.splits.a.qestions: unknown key. Did you mean 'data.splits.a.questions'?"),
        ("extends=base/short", "extends: belongs in the experiment file"),
        ("sweep=[1]", "sweep: is a section: expected keys below it"),
        ("sweep.gird.seed=[1]", "sweep.gird: unknown key. Did you mean 'grid'?"),
        ("sweep.grid.seed=4", "sweep.grid.seed: expected a list of values, such as [42, 43]"),
        ("sweep.grid.seed=[]", "sweep.grid.seed: the list of values is empty"),
        ("sweep.grid.sed=[4]", "sweep.grid.sed: unknown key. Did you mean 'seed'?"),
        ("sweep.points.a/b.seed=4", "sweep.points.a/b: names a folder: use letters, digits and _ - + = , ."),
        ("sweep.points.a.sed=4", "sweep.points.a.sed: unknown key. Did you mean 'seed'?"),
    ],
)
def test_a_wrong_override_is_a_diagnostic(experiments: Path, override: str, expected: str) -> None:
    write(experiments, "x", "extends: [base/short]\n")
    (line,) = error_lines(overrides=(override,))
    assert line.startswith(f"command line: {expected}")


def test_all_wrong_overrides_are_told_with_those_of_the_file(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nbottleneck: {rank: 0}\n")
    assert error_lines(overrides=("sed=4", "train.lr=fast")) == [
        "command line: sed: unknown key. Did you mean 'seed'?",
        "command line: train.lr: expected a number, got 'fast'",
        "x.yaml:2: bottleneck.rank: 0 is below 1",
    ]


def test_a_section_may_be_given_in_one_go(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nbottleneck: {rank: 8, routing: add}\n")
    (point,) = load("x", ["bottleneck={rank: 4, kind: adapter}"]).points
    assert (point.config.bottleneck.rank, point.config.bottleneck.kind) == (4, "adapter")
    assert point.config.bottleneck.routing == "add"


def test_an_override_of_a_swept_key_pins_it(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nsweep: {grid: {seed: [1, 2], bottleneck.routing: [add, mul]}}\n")
    experiment = load("x", ["seed=9"])
    assert [point.name for point in experiment.points] == ["seed=9,routing=add", "seed=9,routing=mul"]
    assert {point.config.seed for point in experiment.points} == {9}
    assert experiment.left_out == ()
    assert error_lines(overrides=("bottleneck.routing=mull",))[0].startswith("command line: bottleneck.routing: 'mull'")


def test_an_override_that_contradicts_every_case_names_what_to_override(experiments: Path) -> None:
    cases = "cases: {lora: {bottleneck.rank: 128}, adapter: {bottleneck.kind: adapter, bottleneck.rank: 64}}"
    write(experiments, "x", f"extends: [base/short]\nsweep: {{{cases}}}\n")
    assert error_lines(overrides=("bottleneck.rank=8", "seed=3")) == [
        "command line: bottleneck.rank: no point is left, because each sets another value itself: override "
        "sweep.cases.lora.bottleneck.rank and sweep.cases.adapter.bottleneck.rank instead"
    ]
    (lora, adapter) = load("x", ["sweep.cases.lora.bottleneck.rank=8"]).points
    assert (lora.config.bottleneck.rank, adapter.config.bottleneck.rank) == (8, 64)
    assert load("x", ["bottleneck.rank=64"]).left_out == ("lora",)
