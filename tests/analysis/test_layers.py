"""What is measured per bottleneck, on planted routing functions, both architectures, two towers and two images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from tests.analysis.planted import COPY, CPU, IGNORE, build, planted_routings  # noqa: F401
from tests.tiny_experiment import write_caption_experiment, write_experiment
from tests.tiny_models import batch_of
from vlrouting.analysis.layers import LayerMeasures, LayerWatch
from vlrouting.analysis.measures import effective_rank, linear_cka
from vlrouting.analysis.point import measure_layers, swapped_examples
from vlrouting.bottleneck import BottleneckConfig, attach
from vlrouting.data.derangement import derangement
from vlrouting.training.assembly import Built


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_experiment(tmp_path_factory.mktemp("questions"), 12)


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_caption_experiment(tmp_path_factory.mktemp("captions"), 8)


def measured(built: Built) -> tuple[LayerMeasures, ...]:
    return measure_layers(built, swapped_examples(built.test_score.examples), CPU, "test")


@pytest.mark.parametrize("kind", ["lora", "adapter"])
def test_routing_that_ignores_the_image_has_no_effect(questions: Path, kind: str) -> None:
    layers = measured(build(questions, f"bottleneck.routing={IGNORE}", f"bottleneck.kind={kind}"))

    assert layers and all(layer.relative_size == layer.image_dependence == 0 for layer in layers)
    assert all(layer.not_measured is None for layer in layers)
    assert all(layer.effective_rank_before == layer.effective_rank_after for layer in layers)


def test_routing_that_copies_the_image_has_the_whole_effect(questions: Path) -> None:
    """The update is a function of the image alone, which has one of four colours here."""
    built = build(questions, f"bottleneck.routing={COPY}", "bottleneck.rank=6", "evaluate.limit=8")
    first = build_inputs(built)
    layer = measured(built)[0]

    plain, update, swapped = first["plain"], first["update"], first["swapped"]
    size = (update - plain).norm(dim=-1).sum() / plain.norm(dim=-1).sum()
    assert layer.relative_size == pytest.approx(float(size), rel=1e-5)
    dependence = (update - swapped).norm(dim=-1).sum() / update.norm(dim=-1).sum()
    assert layer.image_dependence == pytest.approx(float(dependence), rel=1e-5) and dependence > 0
    assert layer.effective_rank_after is not None and 1 < layer.effective_rank_after <= 4 + 1e-6
    x_t, x_v = first["x_t"].double(), first["x_v"].double()  # float32 would add singular values of 3e-4
    assert layer.effective_rank_before == pytest.approx(effective_rank(x_t.T @ x_t), rel=1e-5)
    assert layer.effective_rank_after == pytest.approx(effective_rank(x_v.T @ x_v), rel=1e-5)
    assert layer.width == 6 and layer.tokens == len(x_t)


def build_inputs(built: Built) -> dict[str, Tensor]:
    """Of the first bottleneck, by its definition: rows of all text tokens, no padding and no prefix."""
    model, examples = built.task.model.eval(), list(built.test_score.examples)
    bottleneck: Any = next(iter(model.routed.bottlenecks.values()))
    batch = built.data.first.collate(examples)
    entered: list[Tensor] = []
    handle = bottleneck.down.register_forward_hook(lambda _module, inputs, _output: entered.append(inputs[0]))
    with torch.no_grad():
        visual = model.visual_features(batch)
        swapped = model.visual_features(built.data.first.collate(swapped_examples(examples)))
        model(batch)
    handle.remove()
    assert visual is not None and swapped is not None
    assert len(torch.unique(visual, dim=0)) == 4
    mask = batch["attention_mask"].bool()
    x_t = entered[0][:, visual.shape[1] :][mask] @ bottleneck.down.weight.T  # the prefix is left out
    tokens = mask.sum(dim=1)
    x_v = (visual.mean(dim=1) @ bottleneck.down.weight.T).repeat_interleave(tokens, dim=0)
    other = (swapped.mean(dim=1) @ bottleneck.down.weight.T).repeat_interleave(tokens, dim=0)
    up = bottleneck.up.weight.T
    found = {"x_t": x_t, "x_v": x_v, "plain": x_t @ up, "update": x_v @ up, "swapped": other @ up}
    return {name: tensor.detach() for name, tensor in found.items()}


def test_cka_is_between_the_examples_means_of_text_and_image(questions: Path) -> None:
    built = build(questions, "bottleneck.routing=mul")
    model = built.task.model.eval()
    bottleneck: Any = next(iter(model.routed.bottlenecks.values()))
    batch, watch = built.data.first.collate(list(built.test_score.examples)), LayerWatch(model, 1)
    projected: list[Tensor] = []
    handle = bottleneck.down.register_forward_hook(lambda _module, _inputs, output: projected.append(output))
    with torch.no_grad(), watch.watching():
        visual = model.visual_features(batch)
        model(batch)
    handle.remove()
    assert visual is not None
    mask = batch["attention_mask"].bool()
    rows = zip(projected[0][:, visual.shape[1] :], mask, strict=True)
    text = torch.stack([row[real].mean(dim=0) for row, real in rows])
    image = bottleneck.down(visual).mean(dim=1).detach()
    layer = watch.measures()[0]

    assert layer.cka == pytest.approx(linear_cka(text, image), rel=1e-4)
    assert layer.cka_by_chance == pytest.approx(linear_cka(text, image[derangement(len(image), 1)]), rel=1e-4)
    assert layer.cka_by_chance != pytest.approx(layer.cka, rel=1e-2)


def test_a_gate_that_is_the_same_for_every_image_adds_and_does_not_depend_on_it(questions: Path) -> None:
    """`visual_input: ones`: the relative size alone cannot tell."""
    layers = measured(build(questions, "model.visual_input=ones", "bottleneck.routing=mul"))

    for layer in layers:
        assert layer.relative_size is not None and layer.relative_size > 0.1
        assert layer.image_dependence == 0 and layer.cka is None


@pytest.mark.parametrize("visual_input", ["image", "none"])
def test_without_routing_nothing_is_added(questions: Path, visual_input: str) -> None:
    layers = measured(build(questions, "bottleneck.routing=none", f"model.visual_input={visual_input}"))

    for layer in layers:
        assert layer.relative_size == layer.image_dependence == 0 and layer.routing == "none"
        assert layer.effective_rank_before == layer.effective_rank_after and layer.effective_rank_before is not None
        assert (layer.cka is None) == (visual_input == "none")


def test_a_kind_that_cannot_route_is_listed_without_measures(questions: Path) -> None:
    layers = measured(build(questions, "bottleneck={kind: ia3, routing: none}"))

    assert layers and all(layer.kind == "ia3" and layer.width is layer.relative_size is None for layer in layers)
    assert all(layer.not_measured and "cannot route" in layer.not_measured for layer in layers)


def test_an_update_that_is_zero_has_no_relative_size(questions: Path) -> None:
    built = build(questions, "bottleneck.routing=mul")
    for bottleneck in built.task.model.routed.bottlenecks.values():
        torch.nn.init.zeros_(bottleneck.up.weight)  # type: ignore[union-attr, arg-type]

    assert all(layer.relative_size is layer.image_dependence is None for layer in measured(built))


@pytest.mark.parametrize("keys", ["lora", "adapter", "adapter, shared: true", "adapter, position: parallel"])
def test_a_decoder_reads_the_references(captions: Path, keys: str) -> None:
    built = build(captions, f"bottleneck={{kind: {keys}, rank: 4, routing: mul}}")
    tokens = sum(built.data.first.collate.lengths(built.test_score.examples))
    layers = measured(built)

    uses = 2 if "shared" in keys else 1  # after attention and MLP
    assert [layer.layer for layer in layers] == sorted(layer.layer for layer in layers)  # type: ignore[type-var]
    for layer in layers:
        assert layer.tokens == uses * tokens
        assert layer.relative_size and layer.image_dependence and layer.cka is not None
    assert layers[0].width == (8 if keys == "lora" else 4)  # query and value of a fused projection are routed together


@pytest.fixture(scope="module")
def other_settings(questions: Path, shapes_world: Path) -> dict[str, Path]:
    """Bottlenecks in both towers, and statements about two images."""
    sections = yaml.safe_load(questions.read_text())
    lora = {"kind": "lora", "rank": 4}
    towers = {"text": {**lora, "routing": "mul"}, "picture": {**lora, "tower": "vision"}}
    del sections["bottleneck"]
    splits = {"train": "train", "test": "test", "validation": None, "min_answer_count": 1}
    pairs = {
        "bottleneck": {**lora, "routing": "mul"},
        "data": {"name": "nlvr2", "root": str(shapes_world), "prepare": "shapes", **splits},
        "train": {**sections["train"], "batch_size": 4},
        "vision": {**sections["vision"], "cache_dir": str(questions.parent / "features")},
    }
    found = {"towers": {**sections, "bottlenecks": towers}, "pairs": {**sections, **pairs}}
    for name, content in found.items():
        (questions.parent / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return {name: questions.parent / f"{name}.yaml" for name in found}


def test_two_towers(other_settings: dict[str, Path]) -> None:
    built = build(other_settings["towers"], "evaluate.limit=8")
    layers = measured(built)

    of_text = [layer for layer in layers if layer.tower == "language"]
    of_image = [layer for layer in layers if layer.tower == "vision"]
    assert of_text and of_image and len(of_text) + len(of_image) == len(layers)
    for layer in of_text:
        assert layer.bottleneck == "text" and layer.relative_size and layer.image_dependence
    for layer in of_image:
        assert layer.bottleneck == "picture" and layer.relative_size == 0 and layer.cka is None
        assert layer.effective_rank_before is not None
    assert of_image[0].tokens % 8 == 0


def test_two_images(other_settings: dict[str, Path]) -> None:
    built = build(other_settings["pairs"])
    swapped = swapped_examples(built.test_score.examples)

    for own, other in zip(built.test_score.examples, swapped, strict=True):
        assert own.images != other.images and len(other.images) == 2 and own.text == other.text
    for layer in measured(built):
        assert layer.relative_size and layer.image_dependence and layer.cka is not None


def test_measuring_changes_no_bit_of_the_output_and_leaves_nothing_behind(questions: Path) -> None:
    built = build(questions, "bottleneck.routing=gram")
    model = built.task.model.eval()
    batch = built.data.first.collate(list(built.test_score.examples)[:4])
    watch = LayerWatch(model, 0)
    with torch.no_grad():
        before = model(batch)
        with watch.beside(model.visual_features(batch).flip(0), ""), watch.watching():  # type: ignore[union-attr]
            during = model(batch)
        tokens = watch.measures()[0].tokens
        after = model(batch)

    assert torch.equal(before, during) and torch.equal(before, after)
    assert tokens and watch.measures()[0].tokens == tokens  # no hook is left
    assert measured(built) == measured(built)


def test_padding_and_prefix_do_not_count(questions: Path) -> None:
    built = build(questions, "bottleneck.routing=mul", "vision.features=tokens")
    model = built.task.model.eval()
    ids, mask = torch.tensor([[0, 5, 2, 1, 1], [0, 6, 7, 8, 2]]), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    shape = model.visual_shape
    assert shape is not None and shape[0] > 1
    visual = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    found = []
    for extra in (0, 3):
        watch = LayerWatch(model, 0)
        longer = [torch.nn.functional.pad(each, (0, extra), value=pad) for each, pad in ((ids, 1), (mask, 0))]
        with torch.no_grad(), watch.watching():
            model(batch_of(*longer, visual=visual))
        found.append(watch.measures())

    for short, long in zip(*found, strict=True):
        assert short.tokens == long.tokens == 8
        assert short.relative_size == pytest.approx(long.relative_size, rel=1e-4)
        assert short.effective_rank_after == pytest.approx(long.effective_rank_after, rel=1e-4)
        assert short.cka == pytest.approx(long.cka, rel=1e-3)


@pytest.mark.parametrize("half", ["", "bottleneck.shared_down_per_task=true"])
def test_bottlenecks_of_one_task_are_measured_in_its_passes_only(questions: Path, half: str) -> None:
    plain = measured(build(questions, "bottleneck.routing=mul"))
    built = build(questions, "bottleneck.routing=mul", "bottleneck.per_task=true", *filter(None, [half]))
    found = measured(built)
    assert [layer.task for layer in found] == ["vqav2"] * len(plain)
    for own, other in zip(found, plain, strict=True):
        assert (own.name, own.bottleneck, own.layer) == (other.name, other.bottleneck, other.layer)
        assert own.tokens == other.tokens > 0 and own.image_dependence is not None
    # A second task that shares the down-projection, and has no batch here.
    config = BottleneckConfig("lora", rank=4, routing="mul", per_task=True, shared_down_per_task=bool(half))
    built.task.model.routed.detach()
    built.task.model.routed = attach(built.task.model.language, config, tasks=("vqav2", "gqa"))
    layers = {layer.task: layer for layer in measured(built)}
    assert layers["vqav2"].tokens == plain[0].tokens
    assert (layers["gqa"].tokens, layers["gqa"].not_measured) == (0, "no forward pass went through it")
