"""What an experiment is made of, and its points."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.experiment.writing import write
from vlrouting.config import BottleneckConfig, DataConfig, ExperimentConfig, SplitConfig, TrainConfig
from vlrouting.config.fit import describe
from vlrouting.config.limits import LocalPath
from vlrouting.experiment import UserError, load, to_yaml
from vlrouting.experiment.schema import all_keys, hint_of, is_section
from vlrouting.experiment.sweep import point_name


def names(name: str, *overrides: str) -> list[str]:
    return [point.name for point in load(name, overrides).points]


def test_parts_are_merged_from_left_to_right_and_nested(experiments: Path) -> None:
    write(experiments, "base/a", "extends: [base/short]\nseed: 2\nbottleneck: {rank: 4, alpha: 2}\n")
    write(experiments, "base/b", "bottleneck: {rank: 8}\ndata: {splits: {val: {questions: q}}}\n")
    write(experiments, "x", "extends: [base/a, base/b]\nbottleneck: {kind: lora}\ndata: {splits: {val: {images: i}}}\n")
    experiment = load("x")
    config = experiment.points[0].config
    assert (config.train.max_steps, config.seed, config.bottleneck.rank, config.bottleneck.alpha) == (7, 2, 8, 2.0)
    assert config.data.splits == {"val": SplitConfig(questions="q", images="i")}
    assert (experiment.name, experiment.points[0].name, experiment.source) == (
        "x",
        "default",
        Path("experiments/x.yaml"),
    )
    assert [point.name for point in load("experiments/x.yaml").points] == ["default"]
    assert load(str(experiments / "x.yaml")).name == "x"


def test_exponent_without_a_dot_is_a_number(experiments: Path) -> None:
    # YAML 1.1 as PyYAML reads it takes 3e-4 for a text.
    write(experiments, "x", "extends: base/short\n")
    assert load("x").points[0].config.train.lr == 3e-4


def test_environment_variables_and_references_are_resolved(experiments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT_OF_DATA", "/big/disk")
    data = "data: {root: '${oc.env:ROOT_OF_DATA}/vqa'}\nvision: {cache_dir: '${data.root}/cache'}\n"
    write(experiments, "x", f"extends: [base/short]\n{data}bottleneck: {{targets: ['${{data.name}}']}}\n")
    config = load("x").points[0].config
    assert (config.data.root, config.vision.cache_dir) == ("/big/disk/vqa", "/big/disk/vqa/cache")
    assert config.bottleneck.targets == ["vqav2"]


def test_overrides_win(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\n")
    overrides = ["bottleneck.routing=mul", "bottleneck.layers=[0, 3]", "data.validation=", "train.lr=1e-3", "seed=5"]
    config = load("x", [*overrides, "data.splits.val.questions=q.json"]).points[0].config
    assert (config.bottleneck.routing, config.bottleneck.layers, config.train.lr) == ("mul", [0, 3], 1e-3)
    assert (config.data.validation, config.seed) == (None, 5)
    assert config.data.splits["val"].questions == "q.json"


def test_grid_cases_and_points(experiments: Path) -> None:
    sweep = """
sweep:
  cases:
    lora: {}
    adapter: {bottleneck: {kind: adapter}, bottleneck.shared: true}
  grid:
    bottleneck.routing: [none, add]
    seed: [42, 7]
  points:
    blind: {model.visual_input: none}
"""
    write(experiments, "x", f"extends: [base/short]\n{sweep}")
    points = {point.name: point for point in load("x").points}
    both = [f"{case},routing={r},seed={s}" for case in ("lora", "adapter") for r in ("none", "add") for s in (42, 7)]
    assert list(points) == [*both, "blind"]
    last = points["adapter,routing=add,seed=7"]
    assert (last.config.bottleneck.kind, last.config.bottleneck.routing, last.config.seed) == ("adapter", "add", 7)
    assert last.differing == {
        "bottleneck.kind": "adapter",
        "bottleneck.shared": True,
        "bottleneck.routing": "add",
        "seed": 7,
    }
    assert points["blind"].config.seed == 1  # the named points stand beside the grid
    assert points["blind"].differing == {"model.visual_input": "none"}


def test_only_named_points(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nsweep: {points: {a: {}, b: {seed: 3}}}\n")
    assert names("x") == ["a", "b"]


def test_an_override_holds_for_every_point(experiments: Path) -> None:
    points = "points: {blind: {model.visual_input: none, bottleneck.routing: none}, other: {bottleneck.rank: 2}}"
    grid = "grid: {bottleneck.routing: [none, add], seed: [1, 2]}"
    write(experiments, "x", f"extends: [base/short]\nsweep:\n  {grid}\n  {points}\n")
    experiment = load("x", ["bottleneck.routing=add"])
    assert [point.name for point in experiment.points] == ["routing=add,seed=1", "routing=add,seed=2", "other"]
    assert {point.config.bottleneck.routing for point in experiment.points} == {"add"}
    assert experiment.left_out == ("blind",)
    assert names("x", "seed=2", "bottleneck.routing=none") == ["routing=none,seed=2", "blind", "other"]
    assert names("x", "sweep.grid.seed=[5]", "bottleneck.routing=mul") == ["routing=mul,seed=5", "other"]
    assert names("x", "sweep.points.more.seed=4", "sweep.grid.seed=[1]")[-2:] == ["other", "more"]
    write(experiments, "y", "extends: [base/short]\nsweep: {points: {a: {seed: 1}, b: {seed: 2}}}\n")
    with pytest.raises(UserError, match="command line: seed: no point is left"):
        load("y", ["seed=3"])


def test_point_names() -> None:
    assert point_name(None, {}) == "default"
    assert point_name("lora", {"train.lr": 1e-5, "vision.cache": False}) == "lora,lr=1e-05,cache=false"
    assert point_name(None, {"data.root": "../a\\b c:*?<ä>", "seed": -1}) == "root=..-a-b-c-,seed=-1"
    assert point_name(None, {"data.name": "a", "vision.name": "b", "seed": 1}) == "data.name=a,vision.name=b,seed=1"
    assert point_name(None, {"language.name": "org/model: x", "bottleneck.layers": [0, 1]}) == (
        "name=org-model-x,layers=0+1"
    )
    assert point_name(None, {"bottleneck.alpha": None, "data.root": "", "plugins": []}) == (
        "alpha=null,root=empty,plugins=empty"
    )


def test_a_point_by_name(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nsweep: {grid: {bottleneck.routing: [add, mul]}}\n")
    experiment = load("x")
    assert experiment.point("routing=mul").config.bottleneck.routing == "mul"
    with pytest.raises(UserError, match=r"Did you mean 'routing=mul'.*'routing=add', 'routing=mul'"):
        experiment.point("routing=mull")


def test_resolved_configuration_repeats_the_point(experiments: Path, tmp_path: Path) -> None:
    settings = "bottleneck: {targets: ['*.query', 'no'], layers: [0], dropout: 1e-5}\nlanguage: {revision: '3e4'}\n"
    splits = "data: {splits: {val: {questions: ü.json}}}\n"
    write(experiments, "x", f"extends: [base/short]\n{settings}{splits}sweep: {{grid: {{seed: [3, 4]}}}}\n")
    for point in load("x").points:
        path = tmp_path / "runs" / "x" / point.name / "config.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(to_yaml(point.config), encoding="utf-8")
        again = load(str(path))
        assert [other.config for other in again.points] == [point.config]
        assert again.name == point.name  # not `config`, which every run would share


@pytest.mark.parametrize("number", [3e-4, 1e-5, 1e-8, 2.5e-10, 0.1, 1.0, 128.0, 1e22, 123456789.123])
def test_every_form_of_a_number_survives_the_file(experiments: Path, number: float) -> None:
    write(experiments, "x", f"extends: [base/short]\nbottleneck: {{alpha: {number!r}}}\n")
    (point,) = load("x").points
    assert point.config.bottleneck.alpha == number
    write(experiments, "again", to_yaml(point.config))
    assert load("again").points[0].config == point.config


@pytest.mark.parametrize("text", ["no", "null", "~", "", "1e3", "007", "2024-01-31", "a: b # c", " ü\n", "{x}", "???x"])
def test_every_form_of_a_text_survives_the_file(experiments: Path, text: str) -> None:
    config = ExperimentConfig(train=TrainConfig(max_steps=1), bottleneck=BottleneckConfig(targets=[text]))
    config.data = DataConfig(root=text, splits={"no": SplitConfig(questions=text), "2014": SplitConfig()})
    write(experiments, "again", to_yaml(config))
    assert load("again").points[0].config == config


def test_the_schema_follows_every_field() -> None:
    for key in all_keys():
        assert is_section(hint_of(key)) or describe(hint_of(key))
    assert len(all_keys()) > 50
    sections = [field.name for field in dataclasses.fields(ExperimentConfig) if is_section(hint_of(field.name))]
    several = ("bottlenecks", "select")
    assert sections == [
        "data",
        "datasets",
        "vision",
        "language",
        "bottleneck",
        *several,
        "model",
        "train",
        "generate",
        "evaluate",
        "compare",
        "tuned",
    ]
    assert hint_of("data.splits.any.questions") == LocalPath
    assert hint_of("data.root.deeper") is hint_of("") is None
