"""Sections whose keys depend on a choice: bottlenecks by kind, selectors, transforms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.config import (
    SELECTORS,
    TRANSFORMS,
    AdapterConfig,
    BottleneckConfig,
    ExperimentConfig,
    LanguageConfig,
    ModelConfig,
    Problem,
    SelectConfig,
    TrainConfig,
    TransformConfig,
)
from vlrouting.experiment import config_from_dict, load, to_yaml


@dataclass
class SptConfig(SelectConfig):
    """A selector for these tests."""

    method: str = "spt"
    budget: int = 100


@dataclass
class PruneConfig(TransformConfig):
    """A transform for these tests."""

    ratio: float = 0.5

    def problems(self) -> list[Problem]:
        """See `TransformConfig`."""
        return [] if self.ratio < 1 else [Problem(("ratio",), f"{self.ratio} leaves nothing")]


@dataclass
class SkipConfig(TransformConfig):
    """A transform without keys."""


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The selector and the transforms, while a test runs."""
    with pytest.MonkeyPatch.context() as patch:
        for registry in (SELECTORS, TRANSFORMS):  # whatever other tests have registered
            patch.setattr(registry, "_facts", {})
        SELECTORS._facts["spt"] = SptConfig
        TRANSFORMS._facts.update(prune=PruneConfig, skip=SkipConfig)
        yield


SEVERAL = """\
extends: [base/short]
bottlenecks:
  text: {kind: adapter, position: parallel, scale: 2}
  image: {tower: vision, rank: 4}
  plain: {}
select: {method: spt, budget: 7}
vision: {transforms: {skip: {}}}
language: {transforms: {prune: {ratio: 0.25}, skip: }}
model: {unfreeze: [biases, '*.embeddings.*'], architecture: encoder_classifier}
"""


def test_every_variant_is_composed_and_written(experiments: Path) -> None:
    write(experiments, "x", SEVERAL)
    (point,) = load("x").points
    config = point.config
    assert config.bottlenecks == {
        "text": AdapterConfig(position="parallel", scale=2.0),
        "image": BottleneckConfig("lora", tower="vision", rank=4),
        "plain": BottleneckConfig(),
    }
    assert type(config.bottlenecks["text"]) is AdapterConfig
    assert config.select == SptConfig(budget=7)
    assert list(config.language.transforms.items()) == [("prune", PruneConfig(0.25)), ("skip", SkipConfig())]
    assert config.vision.transforms == {"skip": SkipConfig()}
    assert config.model == ModelConfig(unfreeze=["biases", "*.embeddings.*"], architecture="encoder_classifier")
    write(experiments, "again", to_yaml(config))
    assert load("again").points[0].config == config
    assert config_from_dict(asdict(config)) == config


def test_later_files_and_overrides_reach_into_them(experiments: Path) -> None:
    write(experiments, "x", SEVERAL)
    overrides = ["bottlenecks.plain.rank=3", "language.transforms.prune.ratio=0.1", "bottlenecks.text.scale=1"]
    config = load("x", overrides).points[0].config
    assert config.bottlenecks["plain"] == BottleneckConfig(rank=3)
    assert config.bottlenecks["text"] == AdapterConfig(position="parallel", scale=1.0)
    assert config.language.transforms["prune"] == PruneConfig(0.1)


def test_a_sweep_over_kinds_and_named_bottlenecks(experiments: Path) -> None:
    write(experiments, "x", "extends: [base/short]\nsweep: {grid: {bottleneck.kind: [none, lora, adapter]}}\n")
    points = load("x").points
    assert [point.name for point in points] == ["kind=none", "kind=lora", "kind=adapter"]
    assert [point.config.bottleneck for point in points] == [
        BottleneckConfig(kind) for kind in ("none", "lora", "adapter")
    ]
    write(experiments, "x", f"{SEVERAL}sweep: {{grid: {{bottlenecks.image.rank: [2, 8], select.budget: [1]}}}}\n")
    assert [point.name for point in load("x").points] == ["rank=2,budget=1", "rank=8,budget=1"]
    assert [point.config.bottlenecks["image"].rank for point in load("x").points] == [2, 8]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "bottleneck: {kind: adapter, alpha: 1}",
            "bottleneck.alpha: kind of bottleneck 'adapter' has no key 'alpha'.",
        ),
        ("bottleneck: {kind: none, shared: true}", "bottleneck.shared: kind of bottleneck 'none' has no key 'shared'."),
        (
            "bottleneck: {kind: none, rank: 4}",
            "bottleneck.rank: kind of bottleneck 'none' has no key 'rank'.",
        ),
        (
            "bottleneck: {kind: lora, scale: 4}",
            "bottleneck.scale: kind of bottleneck 'lora' has no key 'scale'.",
        ),
        (
            "bottleneck: {kind: loar, alpha: x}",
            "bottleneck.kind: 'loar' is not one of none, lora",
        ),
        ("bottleneck: {kind: 3}", "bottleneck.kind: '3' is not one of none, lora, adapter"),
        ("bottlenecks: {a: {kind: loar}}", "bottlenecks.a.kind: 'loar' is not one of"),
        ("bottlenecks: {a: {rnk: 1}}", "bottlenecks.a.rnk: unknown key. Did you mean 'bottlenecks.a.rank'?"),
        ("bottlenecks: {a: {rank: 0}}", "bottlenecks.a.rank: 0 is below 1"),
        ("bottlenecks: {a: 3}", "bottlenecks.a: is a section: expected keys below it"),
        (
            "bottlenecks: {a: {rank: 1}, b: {rank: 1}, bottleneck: {rank: 1}}\nbottleneck: {rank: 2}",
            "bottlenecks.a.rank, bottleneck.rank: give one of the two sections "
            "(bottleneck.rank: experiments/x.yaml:3); name every bottleneck under bottlenecks",
        ),
        ("select: {method: spd}", "select.method: 'spd' is not one of spt. Did you mean 'spt'?"),
        ("select: {batches: 3}", "select.batches: the section needs a method: one of spt"),
        ("select: {method: spt, bugdet: 3}", "select.bugdet: unknown key. Did you mean 'select.budget'?"),
        ("select: {method: spt, batches: 0}", "select.batches: 0 is below 1"),
        (
            "language: {transforms: {prun: {ratio: 0.1}}}",
            "language.transforms.prun.ratio: 'prun' is not one of",
        ),
        ("language: {transforms: {prune: {ratoi: 1}}}", "language.transforms.prune.ratoi: unknown key. Did you mean"),
        ("language: {transforms: {skip: {ratio: 1}}}", "language.transforms.skip.ratio: transform 'skip' has no key"),
        ("language: {transforms: {prune: {ratio: 1}}}", "language.transforms.prune.ratio: 1.0 leaves nothing"),
        (
            "language: {transforms: {prune: {ratio: all}}}",
            "language.transforms.prune.ratio: expected a number",
        ),
        (
            "model: {architecture: decodr}",
            "model.architecture: 'decodr' is not one of encoder_classifier",
        ),
        ("model: {unfreeze: biases}", "model.unfreeze: expected a list of texts, got 'biases'"),
    ],
)
def test_errors_are_those_of_the_variant(experiments: Path, given: str, expected: str) -> None:
    write(experiments, "x", f"train: {{max_steps: 10}}\n{given}\n")
    (line,) = error_lines()
    assert line.startswith(f"x.yaml:2: {expected}")


def test_both_forms_in_some_points_only(experiments: Path) -> None:
    points = "sweep: {points: {one: {}, several: {bottlenecks.a.rank: 1}}}"
    write(experiments, "x", f"train: {{max_steps: 10}}\nbottleneck: {{rank: 2}}\n{points}\n")
    assert error_lines() == [
        "x.yaml:3: sweep.points.several.bottlenecks.a.rank, bottleneck.rank: give one of the two sections "
        "(bottleneck.rank: experiments/x.yaml:2); name every bottleneck under bottlenecks"
    ]


def test_without_a_selector(experiments: Path) -> None:
    config = ExperimentConfig(train=TrainConfig(max_steps=1))
    write(experiments, "x", to_yaml(config))
    assert "\nselect: null\n" in to_yaml(config)
    assert load("x").points[0].config == config and config.select is None


VERSION_1 = {
    "routing": "mul", "rank": 4, "alpha": None, "place": "bottleneck", "shared_down": True, "targets": None,
    "layers": [0], "position": "post_module", "shared": False, "residual": True, "dropout": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("norms", [True, False])
@pytest.mark.parametrize("kind", ["lora", "adapter"])
def test_a_configuration_of_schema_version_1(kind: str, norms: bool) -> None:
    stored = {
        "seed": 3,
        "bottleneck": {"kind": kind, **VERSION_1, "train_layer_norm": norms},
        "model": {"visual_input": "image"},
        "data": {"splits": {"val": {"questions": "q.json"}}},
    }
    config = config_from_dict(stored)
    assert config.bottleneck == BottleneckConfig(kind, routing="mul", rank=4, layers=[0], dropout=0.1)
    assert config.model.unfreeze == (["layer_norms"] if norms else [])
    assert (config.seed, config.data.splits["val"].questions, config.data.root) == (3, "q.json", "data/vqav2")
    assert stored["bottleneck"]["train_layer_norm"] is norms  # type: ignore[index]  # it is not changed


def test_a_stored_configuration_that_cannot_be_read() -> None:
    assert config_from_dict({}) == ExperimentConfig()
    assert config_from_dict(asdict(ExperimentConfig(language=LanguageConfig("x")))).language.name == "x"
    with pytest.raises(ValueError, match=r"train has no key 'lrr'\. Did you mean 'lr'\?"):
        config_from_dict({"train": {"lrr": 1}})
    with pytest.raises(ValueError, match=r"bottleneck\.kind: 'my_kind' is not one of none, lora"):
        config_from_dict({"bottleneck": {"kind": "my_kind"}})
