"""An error is told once, at the line that has to change, and for the points that share it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.config import BottleneckConfig, ExperimentConfig, Problem
from vlrouting.data.datasets.presence import missing_files
from vlrouting.experiment import load


def missing_data(config: ExperimentConfig) -> list[Problem]:
    """The check of the command line, without the backbones."""
    return missing_files(config.data, images=config.model.visual_input == "image")


def test_errors_in_a_base_file_name_that_file(experiments: Path) -> None:
    write(experiments, "base/a", "train:\n  epochs: 3\n  lr: -1\nbottleneck:\n  rnk: 3\n  rank: wide\n  routing: ad\n")
    write(experiments, "x", "extends: [base/a]\nseed: -1\nsweep: {grid: {bottleneck.kind: [lora, adapter]}}\n")
    assert error_lines() == [
        "base/a.yaml:3: train.lr: -1.0 is not above 0",
        "base/a.yaml:5: bottleneck.rnk: unknown key. Did you mean 'bottleneck.rank'?",
        "base/a.yaml:6: bottleneck.rank: expected a whole number, got 'wide'",
        "base/a.yaml:7: bottleneck.routing: 'ad' is not one of none, add, mul, expand, gram, gram_relu, self, "
        "cross_attention. Did you mean 'add'?",
        "x.yaml:2: seed: -1 is below 0",
    ]


def test_what_is_overridden_is_not_complained_about(experiments: Path) -> None:
    write(experiments, "base/a", "train: {epochs: 3, lr: -1}\n")
    write(experiments, "x", "extends: [base/a]\ntrain: {lr: 0}\n")
    assert error_lines() == ["x.yaml:2: train.lr: 0.0 is not above 0"]
    assert error_lines(overrides=("train.lr=-2",)) == ["command line: train.lr: -2.0 is not above 0"]


def test_a_combination_names_every_place_it_is_made_of(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\n\ntrain:\n  epochs: 2\n")
    both = "train.epochs, train.max_steps: give exactly one of the two"
    assert error_lines() == [f"x.yaml:4: {both} (train.max_steps: experiments/base/short.yaml:1)"]
    write(experiments, "x", "extends: [base/short]\n")
    expected = f"command line: {both} (train.max_steps: experiments/base/short.yaml:1)"
    assert error_lines(overrides=("train.epochs=2",)) == [expected]
    write(experiments, "x", "train: {epochs: 3, max_steps: 4}\n")
    assert error_lines() == [f"x.yaml:1: {both}"]


def test_a_combination_names_only_the_keys_that_are_given(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nbottleneck:\n  place: after_up\n")
    assert error_lines() == ["x.yaml:3: bottleneck.place: after_up needs a routing function; set routing"]


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        (
            "{bottleneck.place: [bottleneck, after_up], bottleneck.routing: [none, add]}",
            "sweep.grid.bottleneck.place, sweep.grid.bottleneck.routing: after_up needs a routing function "
            "(in 'place=after_up,routing=none'); set routing",
        ),
        (
            "{bottleneck.alpha: [1, 2], bottleneck.kind: [lora, adapter]}",
            "sweep.grid.bottleneck.alpha: kind of bottleneck 'adapter' has no key 'alpha' "
            "(in 'alpha=1,kind=adapter', 'alpha=2,kind=adapter'). Its keys: kind, tower, routing, targets, layers, "
            "per_task, rank, place, shared_down, dropout, shared_down_per_task, shared_up_per_task, position, shared, "
            "residual, scale.",
        ),
        ("{bottleneck.rank: [0, 8], seed: [1, 2]}", "sweep.grid.bottleneck.rank: 0 is below 1"),
        (
            "{bottleneck.position: [pre_norm], seed: [1, 2], bottleneck.kind: [lora, adapter]}",
            "sweep.grid.bottleneck.position: kind of bottleneck 'lora' has no key 'position' "
            "(in 'position=pre_norm,seed=1,kind=lora', 'position=pre_norm,seed=2,kind=lora'). Its keys: kind, tower, "
            "routing, targets, layers, per_task, rank, place, shared_down, dropout, shared_down_per_task, "
            "shared_up_per_task, alpha, scaling.",
        ),
    ],
)
def test_a_swept_value_that_is_wrong_in_some_points_only(experiments: Path, grid: str, expected: str) -> None:
    write(experiments, "x", f"extends: [base/short]\nsweep: {{grid: {grid}}}\n")
    assert error_lines() == [f"x.yaml:2: {expected}"]


def test_missing_data_files_are_told_once_and_at_the_folder(experiments: Path) -> None:
    sweep = "sweep: {grid: {seed: [1, 2]}, points: {blind: {model.visual_input: none}}}"
    write(experiments, "base/data", "data:\n  root: nowhere\n  answers: answers.json\n")
    write(experiments, "x", f"extends: [base/short, base/data]\n{sweep}\n")
    found = error_lines(missing=missing_data)
    assert [line.partition(" ")[0] for line in found] == ["base/data.yaml:2:"] * 7 + ["base/data.yaml:3:"]
    questions = "nowhere/v2_OpenEnded_mscoco_train2014_questions.json"
    expected = f"base/data.yaml:2: data.root: {questions} is missing (data.splits.train2014.questions); fetch it: "
    assert found[0].startswith("base/data.yaml:2: data.root: there is no folder nowhere; ")
    assert found[1].startswith(expected)
    assert found[-1].startswith("base/data.yaml:3: data.answers: nowhere/answers.json is missing; check the path")
    images = next(line for line in found if "train2014.images" in line)  # the blind point needs none
    assert images.endswith(" --root nowhere")  # a command to copy, whichever points need it


def test_missing_data_files_of_a_swept_folder(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nsweep:\n  grid:\n    data.root:\n      - a\n      - b\n")
    found = error_lines(missing=missing_data)
    assert len(found) == 14
    places = [f"x.yaml:{line}: sweep.grid.data.root: " for line in (5, 6)]
    assert [sum(line.startswith(place) for line in found) for place in places] == [7, 7]


@pytest.mark.parametrize("data", ["root: [a]", "rot: a", "prepare: easyvqa", "name: vqav3, answers: a.json"])
def test_files_that_only_a_default_wants_are_not_told(experiments: Path, data: str) -> None:
    write(experiments, "x", f"extends: [base/short]\ndata: {{{data}}}\n")
    (line,) = error_lines(missing=missing_data)
    assert line.startswith(f"x.yaml:2: data.{data.partition(':')[0]}: ")


def test_an_unknown_dataset_does_not_hide_other_files(experiments: Path) -> None:
    def check(config: ExperimentConfig) -> list[Problem]:
        return [*missing_data(config), Problem(("vision.weights",), "w.pt: no such file")]

    write(experiments, "x", "extends: [base/short]\ndata: {name: vqav3}\nvision: {weights: w.pt}\n")
    assert error_lines(missing=check) == [
        "x.yaml:2: data.name: 'vqav3' is not one of vqav2, coco, gqa, nlvr2, jsonl. Did you mean 'vqav2'?",
        "x.yaml:3: vision.weights: w.pt: no such file",
    ]


def test_a_split_that_is_not_known_is_told_where_it_is_asked_for(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\ndata:\n  root: .\n  validation: minival\n")
    found = error_lines(missing=missing_data)
    assert [line.partition(" the ")[0] for line in found if "minival" in line] == ["x.yaml:4: data.validation:"]


def test_a_reference_that_depends_on_a_swept_key_keeps_its_points(experiments: Path) -> None:
    from vlrouting.experiment import load

    write(experiments, "x", "extends: [base/short]\nsweep: {grid: {train.batch_size: [4, 8]}}\n")
    points = load("x", ["evaluate.batch_size=${train.batch_size}"]).points
    assert [point.config.evaluate.batch_size for point in points] == [4, 8]


def test_a_later_file_that_chooses_another_kind_replaces_the_keys_of_the_earlier_one(experiments: Path) -> None:
    write(experiments, "base/a", "bottleneck: {kind: lora, rank: 32, alpha: 8, layers: [0]}\n")
    start = "extends: [base/short, base/a]\n"
    write(experiments, "x", f"{start}bottleneck: {{kind: ia3}}\n")
    assert load("x").points[0].config.bottleneck == BottleneckConfig("ia3", layers=[0])
    assert error_lines(overrides=("bottleneck.alpha=4",)) == [
        "command line: bottleneck.alpha: kind of bottleneck 'ia3' has no key 'alpha'. "
        "Its keys: kind, tower, routing, targets, layers, per_task."
    ]
    assert len(error_lines(overrides=("bottleneck.kind=adapter", "bottleneck.alpha=4"))) == 1
    assert len(error_lines(overrides=("bottleneck.alpha=4", "bottleneck.kind=adapter"))) == 1
    write(experiments, "x", f"{start}bottlenecks: {{text: {{kind: adapter, rank: 4}}}}\n")
    assert load("x").points[0].config.named_bottlenecks == {"text": BottleneckConfig("adapter", rank=4)}
