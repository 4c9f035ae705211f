"""Every value is checked by its field's type, wherever it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.experiment.writing import error_lines, write
from vlrouting.bottleneck import attach
from vlrouting.config import (
    KINDS,
    TRANSFORMS,
    BottleneckConfig,
    DataConfig,
    ExperimentConfig,
    SplitConfig,
    TrainConfig,
    TransformConfig,
    check,
)
from vlrouting.config.cluster import ClusterConfig
from vlrouting.config.fit import hints_of, mark_of, objection, options, unwrapped, without_none
from vlrouting.config.limits import Range
from vlrouting.experiment import config_from_dict
from vlrouting.experiment.schema import all_keys, hint_of, variants


def sections_below(section: type) -> Iterator[type]:
    """A section, and all sections inside it."""
    yield section
    for hint in hints_of(section).values():
        inner = without_none(hint)
        for one in (inner, *getattr(inner, "__args__", ())):
            if dataclasses.is_dataclass(one) and isinstance(one, type):
                yield from sections_below(one)


SECTIONS = list(dict.fromkeys([*sections_below(ExperimentConfig), *variants(BottleneckConfig), ClusterConfig]))


def number_types(hint: Any) -> set[type]:
    """`int`, `float`, where a field can hold one; in a list, too."""
    bases = [unwrapped(option)[0] for option in options(hint)]
    inner = [unwrapped(arg)[0] for base in bases for arg in getattr(base, "__args__", ())]
    return {int, float} & {*bases, *inner}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_number_declares_its_range(section: type) -> None:
    for name, hint in hints_of(section).items():
        inner = [hint, *(arg for option in options(hint) for arg in getattr(unwrapped(option)[0], "__args__", ()))]
        if number_types(hint):
            assert any(mark_of(one, Range) for one in inner), name


ABSURD = [".nan", ".inf", "-.inf", "1e39", "-1e39", "1" + "0" * 400, "-1" + "0" * 18, "1.0e+999", "nan"]


@pytest.mark.parametrize("absurd", ABSURD, ids=range(len(ABSURD)))
def test_no_number_of_an_experiment_can_be_absurd(experiments: Path, absurd: str) -> None:
    keys = [key for key in all_keys() if number_types(hint_of(key))]
    assert len(keys) > 30
    for key in keys:
        value = f"[{absurd}]" if key.endswith("layers") else absurd
        kind = "adapter" if key == "bottleneck.scale" else "lora"
        write(experiments, "x", f"bottleneck.kind: {kind}\n{key}: {value}\n")
        lines = [line for line in error_lines() if line.startswith(f"x.yaml:2: {key}: ")]
        assert len(lines) == 1, key
        assert len(lines[0]) < 250


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("bottleneck: {alpha: .nan}", "bottleneck.alpha: nan is not a finite number"),
        ("train.weight_decay: .inf", "train.weight_decay: inf is not a finite number"),
        ("train.batch_size: 1000000000000", "train.batch_size: 1000000000000 is above 1,000,000"),
        ("bottleneck.alpha: -1", "bottleneck.alpha: -1.0 is not above 0"),
        ("bottleneck.layers: [-1]", "bottleneck.layers: -1 is below 0"),
        ("bottleneck.dropout: 1", "bottleneck.dropout: 1.0 is not in [0, 1)"),
        ("seed: 4294967296", "seed: 4294967296 is above 4,294,967,295"),
        ("sweep: {grid: {bottleneck.dropout: [0.1, .nan]}}", "sweep.grid.bottleneck.dropout: nan is not a finite"),
        ("sweep: {points: {a: {train.lr: .inf}}}", "sweep.points.a.train.lr: inf is not a finite number"),
        ("vision.cache: 'yes'", "vision.cache: expected true or false, got 'yes'"),
        ('language.name: "a\\ud800"', "language.name: 'a\\ud800' has a character that no file can hold"),
        ('data.root: "a\\0b"', "data.root: 'a\\x00b' has a character that no file can hold"),
        ("vision.weights: " + "a" * 300, "vision.weights: 'aaaa"),
        ("language.name: " + "a/" * 3000, "language.name: 'a/a/"),
    ],
)
def test_what_is_said_of_it(experiments: Path, given: str, expected: str) -> None:
    write(experiments, "x", f"train: {{max_steps: 10}}\n{given}\n")
    (line,) = error_lines()
    assert line.startswith(f"x.yaml:2: {expected}")


def test_no_steps_are_not_blamed_on_the_warm_up(experiments: Path) -> None:
    write(experiments, "x", "train:\n  warmup_steps: 5\n  max_steps: 0\n")
    assert error_lines() == ["x.yaml:3: train.max_steps: 0 is below 1"]


@dataclass(kw_only=True)
class BareKind(BottleneckConfig):
    """A plug-in's kind that declares nothing of its numbers."""

    kind: str = field(default="bare", kw_only=False)
    strength: float = 1.0
    count: int = 1
    mode: Literal["fast", "slow"] = "fast"
    weights: list[float] | None = None


@dataclass
class BareTransform(TransformConfig):
    """A plug-in's transform whose `problems` knows nothing of its base class."""

    ratio: float = 0.5


@pytest.fixture
def plugin() -> Iterator[None]:
    """The kind and the transform, while a test runs."""
    with pytest.MonkeyPatch.context() as patch:
        for registry, name, config in ((KINDS, "bare", BareKind), (TRANSFORMS, "thin", BareTransform)):
            patch.setattr(registry, "_facts", {**registry._facts, name: config})  # type: ignore[attr-defined, dict-item]
        yield


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"strength": float("nan")}, "strength"),
        ({"count": 2**70}, "count"),
        ({"count": 1.5}, "count"),
        ({"mode": "middling"}, "mode"),
        ({"weights": [1.0, float("inf")]}, "weights"),
        ({"tower": "left"}, "tower"),
        ({"layers": ["0"]}, "layers"),
    ],
)
def test_a_plug_ins_dataclass_is_checked_too(keys: dict[str, Any], key: str) -> None:
    (problem,) = check(BareKind(**keys))
    assert problem.keys == (key,)
    whole = ExperimentConfig(bottleneck=BareKind(**keys), train=TrainConfig(max_steps=1))
    assert [found.keys for found in check(whole)] == [(f"bottleneck.{key}",)]


@pytest.mark.usefixtures("plugin")
def test_a_transform_in_a_file(experiments: Path) -> None:
    write(experiments, "x", "train: {max_steps: 1}\nlanguage: {transforms: {thin: {ratio: .nan}}}\n")
    assert error_lines() == ["x.yaml:2: language.transforms.thin.ratio: nan is not a finite number"]


def test_the_ends_of_a_range() -> None:
    at_least, above = Range(least=1, most=3), Range(above=0, below=1)
    assert [bool(at_least.objection(value)) for value in (0, 1, 3, 4)] == [True, False, False, True]
    assert [bool(above.objection(value)) for value in (0, 0.5, 1)] == [True, False, True]


def test_in_a_notebook() -> None:
    import torch

    with pytest.raises(ValueError, match="rank: expected a whole number, got '8'"):
        attach(torch.nn.Linear(2, 2), BottleneckConfig(rank="8"))
    with pytest.raises(ValueError, match="routing: 'mull' is not one of"):
        attach(torch.nn.Linear(2, 2), BottleneckConfig(routing="mull"))
    assert [p.keys for p in check(TrainConfig(max_steps=1, lr=float("nan"), schedule="up"))] == [("lr",), ("schedule",)]
    wrong = DataConfig(splits={"val": SplitConfig(questions=3)})  # type: ignore[arg-type]
    assert [problem.keys for problem in check(wrong)] == [("splits.val.questions",)]


@pytest.mark.parametrize(
    ("allowed", "text"),
    [
        (Range(least=1), "at least 1"),
        (Range(above=0), "above 0"),
        (Range(least=0, below=1), "in [0, 1)"),
        (Range(above=0, most=1), "in (0, 1]"),
        (Range(least=0, most=1_000_000), "at least 0, at most 1,000,000"),
    ],
)
def test_a_range_in_words(allowed: Range, text: str) -> None:
    assert str(allowed) == text
    hint = Annotated[float, allowed]
    assert objection(0.5, hint) is None or allowed.least == 1
    assert objection(-0.5, hint) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
STORED = asdict(ExperimentConfig(bottlenecks={"a": BottleneckConfig()}, data=DataConfig(splits={"v": SplitConfig()})))


def places(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place in a nested dictionary."""
    for key, value in tree.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(list(places(STORED))), JSON)
def test_any_json_in_any_field_of_a_stored_configuration(place: tuple[str, ...], value: object) -> None:
    def replaced(tree: Any, path: tuple[str, ...]) -> Any:
        return value if not path else {**tree, path[0]: replaced(tree[path[0]], path[1:])}

    try:
        config = config_from_dict(replaced(STORED, place))
    except ValueError as error:
        assert place[0] in str(error)
    else:
        assert not [problem for problem in check(config) if "expected" in problem.message]
        assert dataclasses.is_dataclass(config)
