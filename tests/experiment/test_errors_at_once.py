"""Every error of an experiment is told in one go, with its place and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.config import ExperimentConfig, Problem
from vlrouting.experiment import ExperimentErrors, UserError, load

FIVE = """\
extends: [base/gone]
bottleneck:
  routin: add
  routing: mull
  rank: wide
  kind: adapter
  alpha: 8
data:
  root: data/none
train: {max_steps: 10}
"""


def test_five_errors_at_once(experiments: Path) -> None:
    write(experiments, "x", FIVE)
    assert error_lines(missing=(Problem(("data.root",), "data/none is not there", "fetch it"),)) == [
        "x.yaml:1: extends: there is no experiments/base/gone.yaml.",
        "x.yaml:3: bottleneck.routin: unknown key. Did you mean 'bottleneck.routing'?",
        "x.yaml:4: bottleneck.routing: 'mull' is not one of none, add, mul, expand, gram, gram_relu, self, "
        "cross_attention. Did you mean 'mul'?",
        "x.yaml:5: bottleneck.rank: expected a whole number, got 'wide'",
        "x.yaml:7: bottleneck.alpha: kind of bottleneck 'adapter' has no key 'alpha'. Its keys: kind, tower, routing, "
        "targets, layers, per_task, rank, place, shared_down, dropout, shared_down_per_task, shared_up_per_task, "
        "position, shared, residual, scale.",
    ]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("bottleneck: {rnak: 1}", "bottleneck.rnak: unknown key. Did you mean 'bottleneck.rank'?"),
        ("bottleneck: {lr: 1}", "bottleneck.lr: unknown key. Did you mean 'train.lr'?"),
        ("rank: 1", "rank: unknown key. Did you mean 'bottleneck.rank'?"),
        ("botleneck: {rank: 1}", "botleneck: unknown key. Did you mean 'bottleneck'?"),
        ("sweeps: {}", "sweeps: unknown key. Did you mean 'sweep'?"),
        ("sweep: {gird: {}}", "sweep.gird: unknown key. Did you mean 'grid'?"),
        (
            "data: {splits: {val: {question: a}}}",
            "data.splits.val.question: unknown key. Did you mean 'data.splits.val.questions'?",
        ),
        (
            "qqqqq: 1",
            "qqqqq: unknown key. Keys of an experiment: seed, task, plugins, data, datasets, vision, language, "
            "bottleneck, bottlenecks, select, model, train, generate, evaluate, compare, tuned, extends, sweep.",
        ),
        ("model: {qqqqq: 1}", "model.qqqqq: unknown key. Keys of model: visual_input, architecture, visual_prefix, "),
        (
            "sweep: {qqqqq: {}}",
            "sweep.qqqqq: unknown key. Keys of sweep: grid, cases, points, seeds, tune, ",
        ),
        ("bottleneck: {RANK: 1}", "bottleneck.RANK: unknown key. Did you mean 'bottleneck.rank'?"),
    ],
)
def test_unknown_keys_are_answered_with_the_nearest(experiments: Path, given: str, meant: str) -> None:
    write(experiments, "x", f"train: {{max_steps: 10}}\n{given}\n")
    (line,) = error_lines()
    assert line.startswith(f"x.yaml:2: {meant}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("bottleneck: {rank: 6.5}", "bottleneck.rank: expected a whole number, got 6.5"),
        ("bottleneck: {rank: true}", "bottleneck.rank: expected a whole number, got true"),
        ("bottleneck: {alpha: big}", "bottleneck.alpha: expected a number or null, got 'big'"),
        ("bottleneck: {targets: query}", "bottleneck.targets: expected a list of texts or null, got 'query'"),
        ("bottleneck: {layers: [0, a]}", "bottleneck.layers: expected a list of whole numbers or null, got [0, 'a']"),
        ("bottleneck: {kind: adapter, residual: 3}", "bottleneck.residual: expected true or false, got 3"),
        ("bottleneck: {routing: null}", "bottleneck.routing: expected a text, got null"),
        (
            "bottleneck: {routing: no}",
            "bottleneck.routing: expected a text, got false. YAML reads words such as no and on as true or false",
        ),
        ("data: {root: 2024-01-31}", "data.root: expected a text, got 2024-01-31. YAML reads words such as"),
        ("bottleneck: add", "bottleneck: is a section: expected keys below it"),
        ("seed: ???", "seed: is left open (???): give it a value"),
        ("data: {root: '${nowhere.x}'}", "data.root: '${nowhere.x}' cannot be resolved: nowhere.x: unknown key"),
        ("data: {root: '${oc.env:NOT_SET_AT_ALL}'}", "data.root: '${oc.env:NOT_SET_AT_ALL}' cannot be resolved:"),
        ("data: {root: '${oops'}", "data.root: '${oops' cannot be resolved:"),
        ("data: {root: !secret x}", "data.root: cannot be read: could not determine a constructor"),
        ("seed: !!bool maybe", "seed: cannot be read as bool"),
        ("seed: 2024-13-01", "seed: cannot be read: month must be in 1..12"),
        ("bottleneck: {targets: &a [*a]}", "an alias contains itself"),
    ],
)
def test_wrong_types_are_said_in_words(experiments: Path, given: str, expected: str) -> None:
    write(experiments, "x", f"train: {{max_steps: 10}}\n{given}\n")
    (line,) = error_lines()
    assert line.startswith(f"x.yaml:2: {expected}")


def test_what_only_follows_from_a_error_is_not_told(experiments: Path) -> None:
    # By default max_steps is null and routing is none: both would be complained about.
    write(experiments, "x", "train: {max_steps: soon}\nbottleneck: {place: after_up, routing: [mul]}\n")
    assert [line.split(": ")[1] for line in error_lines()] == ["train.max_steps", "bottleneck.routing"]
    write(experiments, "x", "train: {max_step: 10}\n")
    assert error_lines() == ["x.yaml:1: train.max_step: unknown key. Did you mean 'train.max_steps'?"]
    write(experiments, "x", "extends: [base/gone]\n")
    assert error_lines() == ["x.yaml:1: extends: there is no experiments/base/gone.yaml."]


def test_a_diagnostic_without_a_key_of_its_own_still_names_the_file(experiments: Path) -> None:
    write(experiments, "x", "seed: 1\n")
    assert error_lines() == ["x.yaml: train.epochs, train.max_steps: give exactly one of the two"]
    write(experiments, "x", "train: {max_steps: 1}\n")
    assert error_lines(missing=(Problem((), "somewhere/file.json: is cut off"),)) == [
        "x.yaml: somewhere/file.json: is cut off"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:\n  max_steps: 1\n bad: x\n", "x.yaml:3: not valid YAML: "),
        (
            "train: {\n  max_steps: 1\nseed: 1\n",
            "x.yaml:3: not valid YAML: expected ',' or '}', but got ':', while parsing a flow mapping that begins in "
            "line 1 (column 5)",
        ),
        (
            "seed: 1\n---\nseed: 2\n",
            "x.yaml:2: not valid YAML: expected a single document in the stream, but found another document (column 1)",
        ),
        ("seed: 1\n\ntask: a\x00b\n", "x.yaml:3: not valid YAML: the character #x0000 is not allowed (column 8)"),
        ("seed: *nowhere\n", "x.yaml:1: not valid YAML: found undefined alias 'nowhere' (column 7)"),
        ("train:\n\tlr: 1\n", "x.yaml:2: not valid YAML: found character '\\t' that cannot start any token (column 1)"),
        ("- 1\n", "x.yaml:1: expected sections"),
    ],
)
def test_broken_yaml_is_one_diagnostic_with_its_line(experiments: Path, text: str, expected: str) -> None:
    write(experiments, "x", text)
    (line,) = error_lines()
    assert line.startswith(expected)
    assert "column" in line or "sections" in line


def test_a_file_that_is_no_text_is_a_diagnostic(experiments: Path) -> None:
    (experiments / "x.yaml").write_bytes(b"\xff\xfe\x00")
    (line,) = error_lines()
    assert line.startswith("x.yaml: is not UTF-8 text but looks like UTF-16")


def test_duplicate_keys_are_told(experiments: Path) -> None:
    write(experiments, "x", "train: {max_steps: 1}\nseed: 1\nbottleneck: {rank: 1, rank: 2}\nseed: 2\n")
    assert error_lines() == [
        "x.yaml:3: bottleneck.rank: given twice, first in line 3",
        "x.yaml:4: seed: given twice, first in line 2",
    ]
    write(experiments, "x", "train: {max_steps: 1}\ntrain.max_steps: 2\n")
    assert error_lines() == ["x.yaml:2: train.max_steps: given twice"]
    write(experiments, "x", "train: {max_steps: 1}\nsweep:\n  cases:\n    a: {}\n    a: {seed: 1}\n")
    assert error_lines() == ["x.yaml:5: sweep.cases.a: given twice, first in line 4"]


def test_cycle_of_extends(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/a]\ntrain: {max_steps: 1}\n")
    write(experiments, "base/a", "extends: [base/b]\n")
    write(experiments, "base/b", "seed: 1\nextends:\n  - base/a\n")
    assert error_lines() == ["base/b.yaml:3: extends: runs in a circle: a → b → a"]
    write(experiments, "x", "train: {max_steps: 1}\nextends: x\n")
    assert error_lines() == ["x.yaml:2: extends: runs in a circle: x → x"]


def test_missing_base_is_answered_with_the_nearest(experiments: Path) -> None:
    write(experiments, "base/captioning", "")
    write(experiments, "x", "extends: [base/captionning]\n")
    assert error_lines() == [
        "x.yaml:1: extends: there is no experiments/base/captionning.yaml. Did you mean 'base/captioning'?"
    ]
    write(experiments, "x", "extends:\n  - captioning\n  - base/captioning.yaml\n  - {base: captioning}\n")
    assert error_lines() == [
        "x.yaml:2: extends: there is no experiments/captioning.yaml. Did you mean 'base/captioning'?",
        "x.yaml:3: extends: there is no experiments/base/captioning.yaml.yaml. Did you mean 'base/captioning'?",
        "x.yaml:4: extends: expected a list of names such as base/vqa",
    ]


def test_errors_on_the_command_line(experiments: Path) -> None:
    write(experiments, "x", "train: {max_steps: 1}\n")
    overrides = ("bottleneck.routing=mull", "train.lrr=1", "seed", "bottleneck.rank=[1", "extends=[base/a]")
    assert sorted(line.partition(":")[0] for line in error_lines(overrides=overrides)) == ["command line"] * 5
    text = "\n".join(error_lines(overrides=overrides))
    assert "bottleneck.routing: 'mull' is not one of" in text
    assert "train.lrr: unknown key. Did you mean 'train.lr'?" in text
    assert "expected key=value, got 'seed'" in text
    assert "bottleneck.rank: not valid YAML" in text
    assert "extends: belongs in the experiment file" in text


def test_sweep_errors(experiments: Path) -> None:
    grid = "grid: {bottleneck.routing: [add, mull], seed: [1, x], train.lr: [], model.visual_input: image, wat: [1]}"
    cases = "cases: {a/b: {}, ok: {bottleneck.routing: add}}"
    write(experiments, "x", f"train: {{max_steps: 1}}\nsweep:\n  {grid}\n  {cases}\n")
    found = error_lines()
    assert len(found) == 7
    text = "\n".join(found)
    assert "x.yaml:3: sweep.grid.bottleneck.routing: 'mull' is not one of" in text
    assert "x.yaml:3: sweep.grid.seed: expected a whole number, got 'x'" in text
    assert "x.yaml:3: sweep.grid.train.lr: the list of values is empty" in text
    assert "x.yaml:3: sweep.grid.model.visual_input: expected a list of values" in text
    assert "x.yaml:3: sweep.grid.wat: unknown key." in text
    assert "x.yaml:4: sweep.cases.a/b: names a folder" in text
    assert "x.yaml:4: sweep.cases.ok.bottleneck.routing: sweep.grid sets bottleneck.routing too" in text


def test_points_with_the_same_name_are_told(experiments: Path) -> None:
    write(experiments, "x", "train: {max_steps: 1}\nsweep: {grid: {train.lr: [3e-4, 0.0003]}}\n")
    differ = "points need names that differ in more than upper and lower case; take one out or rename it"
    assert error_lines() == [f"x.yaml:2: sweep: {differ}: 'lr=0.0003', 'lr=0.0003'"]
    write(experiments, "x", "train: {max_steps: 1}\nsweep: {points: {A: {}, a: {seed: 1}}}\n")
    assert error_lines() == [f"x.yaml: sweep: {differ}: 'A', 'a'"]
    grid = "{seed: [1, 1], bottleneck.routing: [add, mul, gram]}"
    write(experiments, "x", f"train: {{max_steps: 1}}\nsweep:\n  grid:\n    {grid}\n")
    (line,) = error_lines()  # one for all points, not one for each
    assert line.startswith(f"x.yaml:4: sweep: {differ}: 'seed=1,routing=add', ") and line.endswith(" and 1 more")
    assert line.count("'seed=1,") == 5


def test_a_name_that_is_too_long_for_a_folder(experiments: Path) -> None:
    targets = ", ".join(f"layer.{number}.query" for number in range(20))
    write(experiments, "x", f"train: {{max_steps: 1}}\nsweep: {{grid: {{bottleneck.targets: [[{targets}], null]}}}}\n")
    (line,) = error_lines()
    assert line.startswith("x.yaml:2: sweep: a point's name has more than 200 characters; write it under sweep.points")


def test_an_error_of_some_points_names_them(experiments: Path) -> None:
    sweep = "sweep: {points: {seeing: {}, blind: {model.visual_input: none}}}"
    write(experiments, "x", f"train: {{max_steps: 1}}\nbottleneck: {{routing: add, place: after_up}}\n{sweep}\n")
    (line,) = error_lines()
    assert line == (
        "x.yaml:3: sweep.points.blind.model.visual_input, bottleneck.routing: none leaves the routing no image "
        "(bottleneck.routing: experiments/x.yaml:2); set bottleneck.routing: none"
    )

    def only_blind(config: ExperimentConfig) -> list[Problem]:
        return [Problem(("train.max_steps",), "is too few", "train longer")] if config.seed == 2 else []

    write(experiments, "x", "train: {max_steps: 1}\nsweep: {grid: {seed: [1, 2]}}\n")
    with pytest.raises(ExperimentErrors, match=r"x.yaml:1: train.max_steps: is too few \(in 'seed=2'\); train longer"):
        load("x", check_files=only_blind)


def test_files_are_complained_about_once(experiments: Path) -> None:
    write(experiments, "x", "train: {max_steps: 1}\ndata: {root: d}\nsweep: {grid: {seed: [1, 2, 3]}}\n")
    missing = (Problem(("data.root",), "d is not there"),)
    assert error_lines(missing=missing) == ["x.yaml:2: data.root: d is not there"]


def test_unknown_experiment_lists_the_known_ones(experiments: Path) -> None:
    write(experiments, "demo_vqa", "")
    write(experiments, "coco", "")
    write(experiments, "base/vqa", "")
    with pytest.raises(UserError) as caught:
        load("demo_vqaa")
    expected = "no experiment 'demo_vqaa'. Did you mean 'demo_vqa'? Known ones in experiments/: coco, demo_vqa."
    assert str(caught.value) == expected
    with pytest.raises(UserError, match=r"no experiment 'nowhere\.yaml'"):
        load("nowhere.yaml")
    (experiments.parent / "mine.yml").write_text("")
    with pytest.raises(UserError, match=r"mine\.yml: an experiment's file ends in \.yaml: rename it"):
        load("mine.yml")
