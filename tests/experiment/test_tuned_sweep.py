"""`sweep.seeds` and `sweep.tune`: the points, the trials, and all that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.config import TunedConfig
from vlrouting.experiment import Experiment, load

SPLITS = "data: {train: a, validation: b, test: c, splits: {a: {questions: a}, b: {questions: b}, c: {questions: c}}}"
GRID = "grid: {bottleneck.routing: [add, mul]}"
TUNE = "tune: {grid: {train.lr: [3e-4, 1e-3]}}"


def sweep(experiments: Path, *parts: str, above: str = SPLITS) -> None:
    write(experiments, "x", f"extends: [base/short]\n{above}\nsweep:\n" + "".join(f"  {part}\n" for part in parts))


def names(experiment: Experiment) -> list[str]:
    return [point.name for point in experiment.points]


def trials(experiment: Experiment) -> list[str]:
    return [trial.name for trial in experiment.trials]


def test_every_point_gets_every_seed(experiments: Path) -> None:
    sweep(experiments, GRID, "points: {blind: {train.lr: 0.1}}", "seeds: [4, 5]")
    experiment = load("x")
    assert names(experiment) == [
        *("routing=add,seed=4", "routing=add,seed=5", "routing=mul,seed=4", "routing=mul,seed=5"),
        *("blind,seed=4", "blind,seed=5"),
    ]
    assert [point.config.seed for point in experiment.points] == [4, 5] * 3
    assert [point.variant for point in experiment.points[::2]] == ["routing=add", "routing=mul", "blind"]
    assert experiment.point("blind,seed=5").differing == {"train.lr": 0.1, "seed": 5}
    assert names(load("x", ["seed=9"])) == ["routing=add,seed=9", "routing=mul,seed=9", "blind,seed=9"]
    assert len(load("x", ["sweep.seeds=[1, 2, 3]"]).points) == 9
    sweep(experiments, "cases: {one: {train.lr: 0.1}, two: {train.lr: 0.2}}", "seeds: [0]")
    assert names(load("x")) == ["one,seed=0", "two,seed=0"]
    sweep(experiments, "seeds: [0, 1]")
    assert [(point.name, point.variant) for point in load("x").points] == [("seed=0", "default"), ("seed=1", "default")]
    sweep(experiments, "grid: {seed: [0, 1], train.lr: [0.1]}")
    assert {point.variant for point in load("x").points} == {"lr=0.1"}
    write(experiments, "y", "extends: [x]\nsweep: {seeds: [7], grid: null}\n")
    assert names(load("y")) == ["seed=7"]
    write(experiments, "z", "extends: [y]\nsweep: {seeds: null}\n")
    assert names(load("z")) == ["default"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("seeds: 3", "sweep.seeds: expected a list of values, such as [0, 1, 2]"),
        ("seeds: []", "sweep.seeds: the list of values is empty"),
        ("seeds: [0, one]", "sweep.seeds: expected a whole number, got 'one'"),
        ("seeds: [0, 1, 0]", "sweep.seeds: a seed is given twice: 0"),
        ("grid: {seed: [1, 2]}\n  seeds: [0]", "sweep.grid.seed: sweep.seeds, experiments/x.yaml:5, sets the seed too"),
        ("points: {a: {seed: 1}}\n  seeds: [0]", "sweep.points.a.seed: sweep.seeds, "),
        ("cases: {a: {seed: 1}}\n  seeds: [0]", "sweep.cases.a.seed: sweep.seeds, "),
        ("tune: {}\n  seed: [1]", "sweep.seed: unknown key. Did you mean 'seeds'?"),
    ],
)
def test_wrong_seeds(experiments: Path, part: str, expected: str) -> None:
    sweep(experiments, part)
    lines = error_lines()
    assert any(line.split(": ", 1)[1].startswith(expected) for line in lines), lines


def test_every_variant_gets_the_same_trials(experiments: Path) -> None:
    above = f"{SPLITS}\ntrain: {{max_steps: 20}}"
    tune = "tune: {grid: {train.lr: [3e-4, 1e-3], bottleneck.rank: [2, 4]}, seed: 8, max_steps: 10}"
    points = "points: {short: {train.max_steps: 5}, epochs: {train.max_steps: null, train.epochs: 2}}"
    sweep(experiments, GRID, points, tune, "seeds: [0, 1]", above=above)
    experiment = load("x")
    combinations = ["lr=0.0003,rank=2", "lr=0.0003,rank=4", "lr=0.001,rank=2", "lr=0.001,rank=4"]
    variants = ["routing=add", "routing=mul", "short", "epochs"]
    assert trials(experiment) == [f"{variant},{chosen}" for variant in variants for chosen in combinations]
    assert experiment.tuning.name == "x/tuning" and experiment.tuning.points == experiment.trials
    trial = experiment.trials[6]
    config = trial.config
    assert (trial.name, trial.variant) == ("routing=mul,lr=0.001,rank=2", "routing=mul")
    assert (config.train.lr, config.bottleneck.rank, config.bottleneck.routing) == (1e-3, 2, "mul")
    assert (config.seed, config.evaluate.split, config.tuned) == (8, "validation", None)
    assert trial.differing == {"bottleneck.routing": "mul", "train.lr": 1e-3, "bottleneck.rank": 2}
    lengths = {t.variant: (t.config.train.max_steps, t.config.train.epochs) for t in experiment.trials}
    assert lengths == {**dict.fromkeys(variants, (10, None)), "short": (5, None)}
    for point in experiment.points:
        own = [f"{point.variant},{chosen}" for chosen in combinations]
        assert point.config.tuned == TunedConfig(["train.lr", "bottleneck.rank"], own)
        assert point.config.evaluate.split == "test" and point.config.seed in (0, 1)
    assert experiment.swept(experiment.points[0]) == {
        "bottleneck.routing": "add", "seed": 0, "train.epochs": None, "train.max_steps": 20,
    }  # fmt: skip


def test_the_command_line_on_a_tuning(experiments: Path) -> None:
    sweep(experiments, GRID, TUNE)
    assert trials(load("x", ["seed=3"])) == [f"routing={r},lr={lr}" for r in ("add", "mul") for lr in (0.0003, 0.001)]
    assert trials(load("x"))[0] == "routing=add,lr=0.0003"
    assert {trial.config.seed for trial in load("x").trials} == {100}
    longer = load("x", ["sweep.tune.grid.train.lr=[1e-3, 1e-2, 1e-1]", "sweep.tune.max_steps=2", "sweep.tune.seed=5"])
    assert {(t.config.train.max_steps, t.config.seed) for t in longer.trials} == {(2, 5)} and len(longer.trials) == 6
    for pinned in (["train.lr=0.1"], ["sweep.tune.grid.train.lr=[0.1]"]):  # nothing is left to choose
        experiment = load("x", pinned)
        assert experiment.trials == () and {point.config.train.lr for point in experiment.points} == {0.1}
        assert {point.config.tuned for point in experiment.points} == {None}
    one_left = load("x", ["train.lr=0.1", "sweep.tune.grid.bottleneck.rank=[1, 2]"])
    assert trials(one_left)[:2] == ["routing=add,lr=0.1,rank=1", "routing=add,lr=0.1,rank=2"]
    write(experiments, "y", "extends: [x]\nsweep: {tune: null}\n")
    assert load("y").trials == ()
    write(experiments, "y", "extends: [x]\nsweep: {tune: {max_steps: 3, grid: {bottleneck.rank: [1, 2]}}}\n")
    assert len(load("y").trials) == 8 and load("y").trials[0].config.train.max_steps == 3
    assert load("y", ["sweep.tune.max_steps=null"]).trials[0].config.train.max_steps == 7
    sweep(experiments, TUNE)
    assert trials(load("x")) == ["lr=0.0003", "lr=0.001"]
    # A variant that contradicts the command line is tuned no more than it is trained.
    sweep(experiments, "cases: {one: {bottleneck.rank: 1}, two: {bottleneck.rank: 2}}", TUNE)
    left = load("x", ["bottleneck.rank=2"])
    assert left.left_out == ("one",) and trials(left) == ["two,lr=0.0003", "two,lr=0.001"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["tune: {seed: 3}"], "sweep.tune: chooses among the values of a grid; set sweep.tune.grid"),
        (["tune: 3"], "sweep.tune: is a section: expected keys below it"),
        (["tune: {gird: {}}"], "sweep.tune.gird: unknown key. Did you mean 'grid'?"),
        (["tune: {xyz: 3, grid: {train.lr: [1, 2]}}"], "sweep.tune.xyz: unknown key. Keys of sweep.tune: grid, seed, "),
        (["tune: {grid: {}}"], "sweep.tune.grid: is empty"),
        (["tune: {grid: {train.lr: []}}"], "sweep.tune.grid.train.lr: the list of values is empty"),
        (["tune: {grid: {train.lr: 3e-4}}"], "sweep.tune.grid.train.lr: expected a list of values"),
        (["tune: {grid: {train.lrr: [1]}}"], "sweep.tune.grid.train.lrr: unknown key. Did you mean 'train.lr'?"),
        (["tune: {grid: {train.lr: [1e-3, fast]}}"], "sweep.tune.grid.train.lr: expected a number, got 'fast'"),
        (["tune: {grid: {train.lr: [1e-3, 0]}}"], "sweep.tune.grid.train.lr: 0.0 is not above 0"),
        (["tune: {grid: {train.lr: [1e-3, 0.001]}}"], "sweep: points need names that differ"),
        (["tune: {grid: {seed: [1, 2]}}"], "sweep.tune.grid.seed: a seed is no setting to choose"),
        (["tune: {grid: {evaluate.limit: [1, 2]}}"], "sweep.tune.grid.evaluate.limit: decides what the trials are"),
        ([TUNE, "grid: {train.lr: [1, 2]}"], "sweep.tune.grid.train.lr: sweep.grid sets train.lr too"),
        ([TUNE, "cases: {a: {train.lr: 1}}"], "sweep.tune.grid.train.lr: the case 'a' sets train.lr too"),
        ([TUNE, "points: {a: {train.lr: 1}}"], "sweep.tune.grid.train.lr: the point 'a' sets train.lr too"),
        ([TUNE, "seeds: [99, 100]"], "sweep.tune: the points use seed 100 too"),
        (["tune: {grid: {train.lr: [1, 2]}, seed: 1}"], "sweep.tune.seed: the points use seed 1 too"),
        (["tune: {grid: {train.lr: [1, 2]}, seed: x}"], "sweep.tune.seed: expected a whole number, got 'x'"),
        (["tune: {grid: {train.lr: [1, 2]}, max_steps: 0}"], "sweep.tune.max_steps: 0 is below 1"),
        (
            ["tune: {grid: {train.max_steps: [1, 2]}, max_steps: 9}"],
            "sweep.tune.max_steps: sweep.tune.grid tunes",
        ),
        ([TUNE, "points: {tuning: {bottleneck.rank: 1}}"], "sweep: the folder of that name is for the trials; rename"),
        ([TUNE, "max_points: 2"], "sweep: 1 point (1) and 2 trials are more than sweep.max_points, 2"),
    ],
)
def test_a_wrong_tuning_is_one_error(experiments: Path, parts: list[str], expected: str) -> None:
    sweep(experiments, *parts)
    (line,) = error_lines()
    assert line.split(": ", 1)[1].startswith(expected), line


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ("data: {train: a}", "x.yaml:4: sweep.tune: there is no validation split to score on"),
        (
            "data: {validation: val2014}",
            "x.yaml:4: sweep.tune, data.validation: the validation split is the test",
        ),
        (SPLITS.replace("questions: b", "questions: c"), "x.yaml:4: sweep.tune, data.validation, data.test: the valid"),
        (
            f"{SPLITS}\nevaluate: {{split: validation}}",
            "x.yaml:3: evaluate.split: the tuning chooses on the",
        ),
    ],
)
def test_nothing_is_chosen_on_the_test_split(experiments: Path, above: str, expected: str) -> None:
    sweep(experiments, TUNE, above=above)
    (line,) = error_lines()
    assert line.startswith(expected), line


def test_an_error_of_points_and_trials_is_told_once(experiments: Path) -> None:
    sweep(experiments, GRID, TUNE, "seeds: [0, 1]", above=f"{SPLITS}\nbottleneck: {{rank: 0, place: after_up}}")
    assert [line.split(": ")[1] for line in error_lines()] == ["bottleneck.rank"]
    sweep(experiments, GRID, "tune: {grid: {train.warmup_steps: [1, 5]}, max_steps: 4}")
    (line,) = error_lines()
    assert line.startswith("x.yaml:5: sweep.tune.grid.train.warmup_steps: 5 leaves nothing of max_steps 4")
