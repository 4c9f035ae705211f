"""GenFT: the released module's values, the formulas in both orientations, what is shared and when it is generated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from tests.bottleneck.kinds.by_hand import every_token, matvec, numbers, route
from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach, load
from vlrouting.bottleneck.generated import Generator
from vlrouting.bottleneck.kinds.genft import GenFT

FIXTURE = Path(__file__).parents[2] / "fixtures" / "seed_systems" / "genft.npz"
TARGETS = {"bert": "encoder.layer.1.attention.self.value", "gpt2": "transformer.h.1.attn.c_attn"}
"""A Linear, and a fused Conv1D of which queries and values are adapted."""
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "ViT-B": {"orientation": "vit", "ratio": 1.4},
    "RoBERTa": {
        **{"orientation": "peft", "ratio": 0.5, "update_scale": 0.05, "generator_bias": True},
        "outer_activation": "identity",
    },
    "LLaMA": {"orientation": "peft", "ratio": 1.0, "inner_activation": "gelu", "outer_activation": "gelu"},
    "product": {"orientation": "vit", "final_activation": "identity", "inner_activation": "gelu"},
    "transposed-product": {"orientation": "peft", "final_activation": "identity"},
}


def genft(**keys: Any) -> BottleneckConfig:
    return BottleneckConfig("genft", **{"rank": 6, "layer_rank": 2, **keys})


def attached(family: str, **keys: Any) -> Routed:
    torch.manual_seed(5)
    return attach(tiny(family), genft(**keys), unfreeze=())


def of(routed: Routed, name: str) -> Any:
    bottleneck: Any = routed.bottlenecks[name]
    return bottleneck


def run(routed: Routed, family: str, visual: Tensor | None = None) -> Tensor:
    with routed.look_at(visual):
        out: Tensor = routed.model(**inputs(family))[0]
    return out


@torch.no_grad()
def test_the_released_modules_values() -> None:
    values = {name: torch.from_numpy(value) for name, value in np.load(FIXTURE).items()}
    model: Any = tiny("bert")
    attention = model.encoder.layer[0].attention.self
    attention.query.weight.copy_(values["Wq"])
    attention.value.weight.copy_(values["Wv"])
    own, shared = int(values["i"]), int(values["s"])
    routed = attach(model, genft(rank=own + shared, layer_rank=own, ratio=float(values["ratio"])))
    query, value = (of(routed, f"encoder.layer.0.attention.self.{name}") for name in ("query", "value"))
    for number, stage in enumerate((query.generator.first, query.generator.second), start=1):
        stage.down.copy_(values[f"g.genft_share_{number}_a.linear.weight"])
        stage.up.copy_(values[f"g.genft_share_{number}_b.linear.weight"])
    query.parts[0].down.copy_(values["ind_a"])
    query.parts[0].up.copy_(values["ind_b"])
    for bottleneck, name in ((query, "delta_q"), (value, "delta_v")):
        torch.testing.assert_close(bottleneck.weight_update().T, values[name], atol=1e-6, rtol=0)
    plain = functional.linear(values["x"], attention.query.weight, attention.query.bias)
    torch.testing.assert_close(attention.query(values["x"]) - plain, values["xq_vit"], atol=1e-6, rtol=0)


def by_hand(bottleneck: Any, weight: Tensor, group: int) -> tuple[Tensor, Tensor, Tensor]:
    """G, B₂ and ΔW as published, from one (D, D) weight, outputs first."""
    config, own = bottleneck.config, bottleneck.parts[group % len(bottleneck.parts)]
    inner, outer, final = (
        ACTIVATIONS[name]
        for name in (
            *(config.inner_activation, config.outer_activation),
            config.final_activation or config.outer_activation,
        )
    )
    on_weight, on_generator = (1.0, config.ratio) if config.orientation == "vit" else (config.ratio, 1.0)
    stages = (bottleneck.generator.first, bottleneck.generator.second)
    a1, a2 = (on_generator * torch.cat([stage.down, own.down]) for stage in stages)
    b1, b2 = (on_generator * torch.cat([stage.up, own.up], dim=1) for stage in stages)
    c1, c2 = (0.0 if stage.down_bias is None else stage.down_bias for stage in stages)
    e1, e2 = (0.0 if stage.up_bias is None else stage.up_bias for stage in stages)
    hidden = outer(inner(on_weight * weight @ a1.T + c1) @ b1.T + e1)
    narrow = inner(hidden.T @ a2.T + c2)
    return narrow, b2, final(narrow @ b2.T + e2)


def groups_of(base: Any, family: str) -> list[tuple[slice, Tensor]]:
    """Output columns and their (D, D) weight, outputs first."""
    if family == "bert":
        return [(slice(0, WIDTH), base.weight)]
    columns = (slice(0, WIDTH), slice(2 * WIDTH, 3 * WIDTH))
    return [(group, base.weight.T[group]) for group in columns]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("family", TARGETS)
@torch.no_grad()
def test_the_formula(family: str, setting: str) -> None:
    routed = attached(family, **SETTINGS[setting])
    routed.model.double()
    base, bottleneck = routed.model.get_submodule(TARGETS[family]), of(routed, TARGETS[family])
    x = torch.randn(2, 5, WIDTH).double()
    expected = type(base).forward(base, x)
    for number, (columns, weight) in enumerate(groups_of(base, family)):
        whole = by_hand(bottleneck, weight, number)[2]
        update = x @ whole if SETTINGS[setting]["orientation"] == "vit" else x @ whole.T
        expected[..., columns] += SETTINGS[setting].get("update_scale", 1.0) * update
    torch.testing.assert_close(base(x), expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("routing", ["mul", "gram", "cross_attention"])
@pytest.mark.parametrize("setting", ["product", "transposed-product"])
@pytest.mark.parametrize("family", TARGETS)
@torch.no_grad()
def test_the_formula_with_routing(family: str, setting: str, routing: str) -> None:
    """Between G and B₂, on the channels of query and value jointly."""
    routed = attached(family, routing=routing, **SETTINGS[setting])
    routed.model.double()
    base, bottleneck = routed.model.get_submodule(TARGETS[family]), of(routed, TARGETS[family])
    x, visual = torch.randn(2, 5, WIDTH).double(), images(batch=2).double()
    products = [by_hand(bottleneck, weight, n)[:2] for n, (_, weight) in enumerate(groups_of(base, family))]
    if setting == "transposed-product":
        products = [(up, narrow) for narrow, up in products]
    down = numbers(torch.cat([first.T for first, _ in products]))
    ups = [numbers(last) for _, last in products]

    def update(token: list[float], image: list[list[float]]) -> list[float]:
        narrow = route(routing, matvec(down, token), [matvec(down, each) for each in image], bottleneck.attention)
        return [value for n, up in enumerate(ups) for value in matvec(up, narrow[6 * n : 6 * n + 6])]

    expected = type(base).forward(base, x)
    added = every_token(x, visual, update)
    for number, (columns, _) in enumerate(groups_of(base, family)):
        expected[..., columns] += added[..., number * WIDTH : (number + 1) * WIDTH]
    with routed.look_at(visual):
        torch.testing.assert_close(base(x), expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("orientation", ["vit", "peft"])
def test_the_layers_part_trains_and_would_not_from_the_released_start(orientation: str) -> None:
    routed = attached("bert", orientation=orientation)
    parts = [(part.down, part.up) for b in routed.bottlenecks.values() for part in b.parts]  # type: ignore[union-attr]
    run(routed, "bert").pow(3).mean().backward()
    assert all(float(matrix.grad.abs().max()) > 1e-9 for part in parts for matrix in part)  # type: ignore[union-attr]
    for part in parts:
        for matrix in part:
            nn.init.zeros_(matrix)
            matrix.grad = None
    run(routed, "bert").pow(3).mean().backward()
    assert all(float(matrix.grad.abs().max()) == 0 for part in parts for matrix in part)  # type: ignore[union-attr]


@torch.no_grad()
def test_step_0_is_not_the_frozen_model() -> None:
    frozen = tiny("bert")(**inputs("bert"))[0]
    assert (run(attached("bert"), "bert") - frozen).abs().max() > 1e-3


def test_what_is_shared(tmp_path: Path) -> None:
    vit, peft = (attached("bart", orientation=name) for name in ("vit", "peft"))
    generator, part = 4 * 4 * WIDTH, 2 * 2 * WIDTH
    assert vit.trainable_parameters == generator + 6 * part  # attentions: 2 of the encoder, 4 of the decoder
    assert peft.trainable_parameters == generator + 12 * part
    bottlenecks: list[Any] = list(vit.bottlenecks.values())
    assert len({id(b.generator) for b in bottlenecks}) == 1
    assert len({id(b.parts[0]) for b in bottlenecks}) == 6
    fused = attached("gpt2", orientation="peft")  # query and value have a part each, also where they are one module
    assert fused.trainable_parameters == generator + 4 * part
    peft.save(tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in stored.values()) == peft.trainable_parameters  # the generator once
    per_task = attach(tiny("bert"), genft(per_task=True), unfreeze=(), tasks=("one", "other"))
    assert per_task.trainable_parameters == 2 * (generator + 2 * part)


@pytest.mark.parametrize(
    ("family", "targets", "size"),
    [
        ("bert", ["up"], "48 x 24"),
        ("bert", ["query", "down"], "24 x 48"),
        ("gpt2", ["attn.c_attn"], "72 x 24"),
    ],
)
def test_only_square_weights(family: str, targets: list[str], size: str) -> None:
    with pytest.raises(ValueError, match=rf"of a square weight, and this one is {size}; choose targets"):
        attached(family, targets=targets)
    assert len(attached(family, targets=["query", "key", "value", "output"]).bottlenecks) > 2


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            {"routing": "mul"},
            r"outer_activation, routing: .*leaky_relu acts on their product; set final_activation: id",
        ),
        (
            {"routing": "add", "place": "after_up", "final_activation": "gelu"},
            r"final_activation, routing: .*gelu acts",
        ),
        (
            {"routing": "mul", "outer_activation": "identity", "generator_bias": True},
            r"generator_bias, routing: .*; set generator_bias: false",
        ),
        ({"layer_rank": 6}, r"layer_rank, rank: 6 of 6 channels leave none to the shared generator"),
        ({"per_task": True, "shared_up_per_task": True}, r"shared_up_per_task: .*come from one generator"),
    ],
)
def test_what_does_not_go_together(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        attach(tiny("bert"), genft(**keys), tasks=("one",))


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """A record for every time that something is generated."""
    calls: list[tuple[int, ...]] = []
    projection = Generator.projection

    def counted(self: Generator, weight: Tensor, *arguments: Any) -> Tensor:
        calls.append(tuple(weight.shape))
        return projection(self, weight, *arguments)

    monkeypatch.setattr(Generator, "projection", counted)
    return calls


ROUTED = {"routing": "mul", "final_activation": "identity"}


@pytest.mark.parametrize("keys", [{}, ROUTED, {**ROUTED, "orientation": "peft"}, {"matrix_dropout": 0.2, **ROUTED}])
def test_once_in_a_training_step_and_target(keys: dict[str, Any], generated: list[object]) -> None:
    routed = attached("bert", **keys)
    routed.model.train()
    with routed.look_at(images()) as context:
        for step in (1, 2):
            routed.model(**inputs("bert"))[0].pow(2).mean().backward()
            assert generated == [(WIDTH, WIDTH)] * 4 * step
        assert not any(context.kept.values())  # the autograd graph is not kept


@pytest.mark.parametrize("keys", [{}, ROUTED, {**ROUTED, "orientation": "peft"}])
@torch.no_grad()
def test_once_per_generated_text(keys: dict[str, Any], generated: list[object]) -> None:
    routed = attached("gpt2", **keys)
    ids, options = inputs("gpt2")["input_ids"], {"max_new_tokens": 5, "pad_token_id": 1, "eos_token_id": 49}
    with routed.look_at(images()):
        beams = routed.model.generate(ids, num_beams=2, do_sample=False, **options)  # type: ignore[operator]
    assert len(generated) == 4  # query and value of two layers
    with routed.look_at(images()):
        uncached = routed.model.generate(ids, num_beams=2, do_sample=False, use_cache=False, **options)  # type: ignore[operator]
    assert torch.equal(beams, uncached) and len(generated) == 8


@pytest.mark.parametrize("moved", ["generator.first.down", "generator.second.up", "parts.0.up", "frozen"])
@pytest.mark.parametrize("keys", [{}, ROUTED])
@torch.no_grad()
def test_generated_anew_when_a_weight_has_changed(keys: dict[str, Any], moved: str) -> None:
    routed, name = attached("bert", **keys), TARGETS["bert"]
    base: Any = routed.model.get_submodule(name)
    with routed.look_at(images()):
        before = routed.model(**inputs("bert"))[0]
        (base.weight if moved == "frozen" else of(routed, name).get_parameter(moved)).mul_(3)
        inside = routed.model(**inputs("bert"))[0]
    assert torch.equal(run(routed, "bert", images()), inside)
    assert (inside - before).abs().max() > 1e-4


@torch.no_grad()
def test_the_image_of_another_context_is_projected_by_itself() -> None:
    """As `vlrouting analyse` swaps images inside of one forward pass."""
    routed = attached("bert", **ROUTED)
    bottleneck, x = of(routed, TARGETS["bert"]), torch.randn(3, 5, WIDTH)
    with routed.look_at(images(seed=9)) as other:
        expected = bottleneck.update(x)
    with routed.look_at(images()) as context:
        own = bottleneck.update(x)
        with bottleneck.slot.holding(context.with_projected(list(other.projected.values()))):
            torch.testing.assert_close(bottleneck.update(x), expected)
        assert not torch.allclose(own, expected)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("family", ["bert", "gpt2", "bart"])
@torch.no_grad()
def test_merging_keeps_the_outputs(family: str, setting: str) -> None:
    routed = attached(family, matrix_dropout=0.5, **SETTINGS[setting])
    before = run(routed, family)
    routed.model.train()  # what is merged is without dropout all the same
    merged = routed.merge().eval()
    torch.testing.assert_close(merged(**inputs(family))[0], before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("order", [("genft", "lora"), ("lora", "genft")])
def test_what_cannot_be_merged(order: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="depends on the image"):
        attached("bert", **ROUTED).merge()
    configs = {"genft": genft(), "lora": BottleneckConfig("lora", rank=2)}
    both = attach(tiny("bert"), {name: configs[name] for name in order})
    with pytest.raises(ValueError, match=r"genft:encoder.layer.0.attention.self.query: generated from a weight that"):
        both.merge()


@pytest.mark.parametrize("keys", [{}, ROUTED, {"outer_activation": "identity"}])
@torch.no_grad()
def test_dropout_of_the_matrix_is_the_same_for_all_rows(keys: dict[str, Any]) -> None:
    routed = attached("bert", matrix_dropout=0.5, **keys)
    bottleneck, x = of(routed, TARGETS["bert"]), torch.randn(1, 1, WIDTH).expand(3, 2, WIDTH)
    with routed.look_at(images(batch=1).expand(3, -1, -1)):
        assert torch.equal(bottleneck.update(x), bottleneck.update(x))
        bottleneck.train()
        first, second = bottleneck.update(x), bottleneck.update(x)
        torch.testing.assert_close(first, first[:1, :1].expand_as(first))
        assert not torch.allclose(first, second)


@torch.no_grad()
def test_stages_dropout_acts_on_both_matrices() -> None:
    """Half of the entries of ΔW are zero, and the other half does not come from the same H as without dropout."""
    bottleneck = of(attached("bert", matrix_dropout=0.5), TARGETS["bert"]).train()
    plain, dropped = bottleneck._update_weight(False), bottleneck._update_weight(True)
    assert 0.35 < float((dropped == 0).float().mean()) < 0.65
    kept = dropped != 0
    assert not torch.allclose(dropped[kept], 2 * plain[kept])


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("keys", [{}, ROUTED, {**ROUTED, "orientation": "peft"}])
def test_gradients_with_either_checkpointing_and_dropout(keys: dict[str, Any], reentrant: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        routed = attached("bert", matrix_dropout=0.3, **keys)
        visual = images().requires_grad_()
        if checkpointing:
            routed.model.gradient_checkpointing_enable({"use_reentrant": reentrant})  # type: ignore[operator]
        routed.model.train()
        torch.manual_seed(7)
        run(routed, "bert", visual).pow(3).mean().backward()
        own = [parameter.grad for b in routed.bottlenecks.values() for parameter in b.parameters()]
        gradients.append([*own, *([visual.grad] if keys else [])])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)
        assert float(plain.abs().max()) > 0  # type: ignore[union-attr]


@torch.no_grad()
def test_generated_in_float32_under_autocast() -> None:
    routed = attached("bert")
    bottleneck = of(routed, TARGETS["bert"])
    expected = bottleneck.weight_update()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(bottleneck.weight_update(), expected)


@torch.no_grad()
def test_an_own_projection_of_the_image_and_routing_after_the_update() -> None:
    for keys in ({"shared_down": False, "routing": "gram"}, {"place": "after_up", "routing": "add"}):
        routed = attached("bert", final_activation="identity", **keys)
        one, other = (run(routed, "bert", images(seed=seed)) for seed in (1, 2))
        assert not torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("orientation", ["vit", "peft"])
def test_the_vision_tower_by_columns(orientation: str, tmp_path: Path) -> None:
    """timm's fused qkv: the update of query and value alone, each from its own columns; saved and loaded."""

    def vit() -> nn.Module:
        torch.manual_seed(0)
        keys = {"img_size": 32, "embed_dim": WIDTH, "depth": 2, "num_heads": 3, "num_classes": 0}
        return timm.create_model("vit_tiny_patch16_224", **keys).eval()  # type: ignore[no-any-return]

    routed = attach(vit(), genft(orientation=orientation, tower="vision"), unfreeze=())
    bottleneck, qkv = of(routed, "blocks.0.attn.qkv"), routed.model.get_submodule("blocks.0.attn.qkv")
    with torch.no_grad():
        update = torch.zeros(3 * WIDTH, WIDTH)
        for number, columns in enumerate((slice(0, WIDTH), slice(2 * WIDTH, 3 * WIDTH))):
            whole = by_hand(bottleneck, qkv.weight[columns], number)[2]  # type: ignore[index]
            update[columns] = whole.T if orientation == "vit" else whole
        x = torch.randn(1, 4, WIDTH)
        torch.testing.assert_close(qkv(x), functional.linear(x, qkv.weight + update, qkv.bias))  # type: ignore[operator, arg-type]
    pixels = torch.randn(2, 3, 32, 32)
    out = routed.model(pixels)
    out.pow(2).mean().backward()
    assert all(parameter.grad is not None for parameter in bottleneck.parameters())
    routed.save(tmp_path)
    assert torch.equal(load(tmp_path, vit()).model(pixels), out)


def test_a_generated_update_has_no_projection_to_trace() -> None:
    traced = {
        name: {
            isinstance(b, GenFT) and b.text_projection is not None
            for b in attached("bert", **keys).bottlenecks.values()
        }
        for name, keys in SETTINGS.items()
    }
    assert traced == {
        **{"ViT-B": {False}, "RoBERTa": {False}, "LLaMA": {False}},
        **{"product": {True}, "transposed-product": {True}},
    }
