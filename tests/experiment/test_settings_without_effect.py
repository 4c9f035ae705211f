"""What a user writes down has an effect, or is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.config import SelectConfig
from vlrouting.config.training import EarlyStoppingConfig
from vlrouting.experiment import load, to_yaml

CAPTIONS = "task: captioning\ndata.name: coco\ndata.test: test\n"


@pytest.mark.parametrize(
    ("idle", "useful"),
    [
        ("generate.beams: 4", CAPTIONS),
        ("generate.max_new_tokens: 4", CAPTIONS),
        ("data.max_target_tokens: 9", CAPTIONS),
        ("evaluate.spice: true", CAPTIONS),
        ("model.label_smoothing: 0.1", CAPTIONS),
        ("train.momentum: 0.8", "train.optimizer: sgd\n"),
        ("language.revision: abc", "language.name: roberta-large\n"),
    ],
)
def test_what_has_no_effect_is_told(experiments: Path, idle: str, useful: str) -> None:
    start = "extends: [base/short]\nlanguage.name: package:somewhere\n"
    key = idle.partition(":")[0]
    write(experiments, "x", f"{start}{idle}\n")
    (line,) = error_lines()
    assert line.startswith(f"x.yaml:3: {key}: has no effect, because ") and line.endswith("; take it out")
    if "language.name" in useful:
        start = "extends: [base/short]\n"
    write(experiments, "x", f"{start}{idle}\n{useful}")
    load("x")
    write(experiments, "x", start)
    (line,) = error_lines(overrides=(idle.replace(": ", "="), "language.name=package:somewhere"))
    assert line.startswith(f"command line: {key}: has no effect")


@pytest.mark.parametrize(
    "given",
    [
        f"{CAPTIONS}data.min_answer_count: 3",
        "data.answers: a.json\ndata.min_answer_count: 3",
        "data.name: gqa\nevaluate.vqa_variant: legacy",
        "vision: {cache: false, cache_dir: /tmp}",
        "train.optimizer: sgd\ntrain.eps: 1.0e-3",
        "train.optimizer: sgd\ntrain.beta2: 0.9",
        "model.visual_input: noise\nvision.cache_dir: /tmp",
        "bottleneck: {kind: none, layers: [0]}",
        "bottleneck: {shared_down: false}",
        "bottlenecks: {a: {shared_down: false}}",
    ],
)
def test_more_of_them(experiments: Path, given: str) -> None:
    write(experiments, "x", f"extends: [base/short]\n{given}\n")
    (line,) = error_lines()
    assert ": has no effect, because " in line


def test_what_has_an_effect_in_some_points_is_none(experiments: Path) -> None:
    grid = "sweep: {grid: {bottleneck.routing: [none, mul]}}\n"
    write(experiments, "x", f"extends: [base/short]\nbottleneck: {{shared_down: false}}\ntrain.strategy: fsdp\n{grid}")
    points = load("x").points  # the strategy is for other numbers of devices, which the command line chooses
    stored = experiments.parent / "runs" / "routing=none" / "config.yaml"
    stored.parent.mkdir(parents=True)
    stored.write_text(to_yaml(points[0].config))
    assert load(str(stored)).points[0].config == points[0].config  # a run's own file has every key


def test_defaults_and_what_a_later_file_makes_moot_are_none(experiments: Path) -> None:
    write(experiments, "base/writing", f"{CAPTIONS}generate: {{beams: 5}}\n")
    write(experiments, "x", "extends: [base/short, base/writing]\ntask: vqa_classification\ndata.name: vqav2\n")
    load("x")
    write(experiments, "x", "extends: [base/short]\ngenerate: {beams: 1}\ntrain: {strategy: ddp}\n")
    load("x")
    write(experiments, "x", "extends: [base/short]\n")
    assert len(error_lines(overrides=("generate.beams=3",))) == 1


@pytest.mark.parametrize(
    ("overrides", "key", "both"),
    [
        (("seed=1", "seed=2"), "seed", "'seed=1' and 'seed=2'"),
        (("train.lr=1", "train={lr: 2}"), "train.lr", "'train.lr=1' and 'train={lr: 2}'"),
        (("sweep.grid.seed=[1]", "sweep.grid.seed=[2]"), "seed", "'sweep.grid.seed=[1]' and 'sweep.grid.seed=[2]'"),
        (("seed=1", "sweep.grid.seed=[1, 2]"), "seed", "'seed=1' and 'sweep.grid.seed=[1, 2]'"),
        (
            ("sweep.points.a.seed=1", "sweep.points={a: {seed: 2}}"),
            "points.a.seed",
            "'sweep.points.a.seed=1' and 'sweep.points={a: {seed: 2}}'",
        ),
    ],
)
def test_the_same_key_twice_on_the_command_line(
    experiments: Path, overrides: tuple[str, ...], key: str, both: str
) -> None:
    write(experiments, "x", "extends: [base/short]\n")
    assert error_lines(overrides=overrides) == [f"command line: {key}: given twice: {both}; keep one"]


@pytest.mark.parametrize("nothing", ["null", "{}", ""])
def test_a_sweep_that_is_null_drops_what_the_extended_files_sweep(experiments: Path, nothing: str) -> None:
    sweep = "sweep: {cases: {a: {seed: 1}, b: {seed: 2}}, grid: {bottleneck.rank: [1, 2]}, points: {c: {seed: 3}}}\n"
    write(experiments, "base/swept", sweep)
    write(experiments, "x", f"extends: [base/short, base/swept]\nsweep: {nothing}\n")
    assert [point.name for point in load("x").points] == ["default"]
    write(experiments, "x", f"extends: [base/short, base/swept]\nsweep: {{grid: {nothing}}}\n")
    assert [point.name for point in load("x").points] == ["a", "b", "c"]
    write(experiments, "x", "extends: [base/short, base/swept]\n")
    assert [point.name for point in load("x", [f"sweep={nothing}"]).points] == ["default"]


@pytest.mark.parametrize("given", ["train:", "bottleneck: null", "extends: []", "extends:"])
def test_an_empty_section_is_told(experiments: Path, given: str) -> None:
    write(experiments, "x", f"train.max_steps: 1\n{given}\n")
    (line,) = error_lines()
    key = given.partition(":")[0]
    assert line.startswith(f"x.yaml:2: {key}: ")
    assert "is empty" in line or "expected a list of names" in line


def test_null_takes_away_named_entries_and_optional_sections(
    experiments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vlrouting.config import SELECTORS

    monkeypatch.setattr(SELECTORS, "_facts", {"any": SelectConfig})
    below = "select: {method: any}\ndata: {splits: {a: {questions: q}, b: {}}}\nbottlenecks: {a: {rank: 1}}\n"
    write(experiments, "base/full", below)
    taken = "select: null\ndata: {splits: {}}\nbottlenecks: null\n"
    write(experiments, "x", f"extends: [base/short, base/full]\n{taken}")
    config = load("x").points[0].config
    assert config.train.early_stopping is None
    assert (config.select, config.data.splits, config.bottlenecks) == (None, {}, {})
    write(experiments, "x", "extends: [base/short, base/full]\nsweep: {points: {a: {select: null}, b: {}}}\n")
    assert [point.config.select is None for point in load("x").points] == [True, False]
    write(experiments, "x", f"extends: [base/short, base/full]\n{taken}data.splits.c.questions: q\n")
    assert list(load("x").points[0].config.data.splits) == ["c"]


def test_an_optional_section_without_keys_has_its_defaults(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\ntrain: {early_stopping: {}}\ndata.validation: val2014\n")
    assert load("x").points[0].config.train.early_stopping == EarlyStoppingConfig()
    write(experiments, "x", "extends: [base/short]\nselect: {}\n")
    (line,) = error_lines()
    assert line.startswith("x.yaml:2: select: the section needs a method")
