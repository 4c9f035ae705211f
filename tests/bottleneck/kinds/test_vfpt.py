"""VFPT: against the released code's values, against VPT as a loop over blocks, and in what it leaves alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import transformers
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tests.bottleneck.kinds.by_hand import numbers
from vlrouting.backbones.language import enable_gradient_checkpointing
from vlrouting.bottleneck import BottleneckConfig, Routed, attach, load
from vlrouting.config import check

FIXTURE = Path(__file__).parents[2] / "fixtures" / "seed_systems" / "vfpt.npz"
M, D = 6, 24


def config(**keys: Any) -> BottleneckConfig:
    return BottleneckConfig("vfpt", **{"tower": "vision", "tokens": M, **keys})


def vit(seed: int = 0, **keys: Any) -> VisionTransformer:
    torch.manual_seed(seed)
    small = {"img_size": 32, "patch_size": 8, "embed_dim": D, "depth": 3, "num_heads": 3, "mlp_ratio": 2}
    model: VisionTransformer = timm.create_model("vit_tiny_patch16_224", **{**small, "num_classes": 0, **keys})
    return model.eval()


SMALL = {
    "hidden_size": D, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip


def transformers_tower(name: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = getattr(transformers, f"{name}VisionModel")(
        getattr(transformers, f"{name}VisionConfig")(**SMALL)
    )
    return model.eval()


PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Tower:
    """A vision tower and its parts, for the loop that the bottleneck is compared with."""

    make: Callable[[], Any]
    class_tokens: int
    stem: Callable[[Any, Tensor], Tensor]
    blocks: Callable[[Any], list[nn.Module]]
    end: Callable[[Any, Tensor], Tensor]
    tokens: Callable[[Any, Tensor], Tensor]
    more: tuple[None, ...] = (None,)
    """Further arguments of a block: the attention mask."""


def of_timm(class_tokens: int, **keys: Any) -> Tower:
    return Tower(
        make=lambda: vit(**keys),
        class_tokens=class_tokens,
        stem=lambda model, pixels: model.norm_pre(model._pos_embed(model.patch_embed(pixels))),
        blocks=lambda model: list(model.blocks),
        end=lambda model, tokens: model.norm(tokens),
        tokens=lambda model, pixels: model.forward_features(pixels),
        more=(),
    )


TOWERS = {
    "vit": of_timm(1),
    "registers": of_timm(5, reg_tokens=4),
    "no class token": of_timm(0, class_token=False, global_pool="avg"),
    "norm before": of_timm(1, pre_norm=True),
    "clip": Tower(
        make=lambda: transformers_tower("CLIP"),
        class_tokens=1,
        stem=lambda model, pixels: model.pre_layrnorm(model.embeddings(pixels)),
        blocks=lambda model: list(model.encoder.layers),
        end=lambda model, tokens: tokens,
        tokens=lambda model, pixels: model(pixel_values=pixels).last_hidden_state,
    ),
    "siglip": Tower(
        make=lambda: transformers_tower("Siglip"),
        class_tokens=0,
        stem=lambda model, pixels: model.embeddings(pixels),
        blocks=lambda model: list(model.encoder.layers),
        end=lambda model, tokens: model.post_layernorm(tokens),
        tokens=lambda model, pixels: model(pixel_values=pixels).last_hidden_state,
    ),
}


def first_tokens(tower: Tower, model: Any, prompts: Tensor) -> Tensor:
    """[c; P; x], what the first block reads."""
    tokens = tower.stem(model, PIXELS)
    c = tower.class_tokens
    return torch.cat([tokens[:, :c], prompts.expand(2, -1, -1), tokens[:, c:]], dim=1)


def vpt(tower: Tower, model: Any, prompts: list[Tensor], deep: bool) -> Tensor:
    """VPT as its paper has it: the prompts' outputs of one block are replaced before the next."""
    c, count, tokens = tower.class_tokens, len(prompts[0]), first_tokens(tower, model, prompts[0])
    for number, block in enumerate(tower.blocks(model)):
        if deep and number:
            tokens = torch.cat([tokens[:, :c], prompts[number].expand(2, -1, -1), tokens[:, c + count :]], dim=1)
        tokens = (
            block(tokens, None) if "CLIP" in type(block).__name__ or "Siglip" in type(block).__name__ else block(tokens)
        )
    return tower.end(model, torch.cat([tokens[:, :c], tokens[:, c + count :]], dim=1))


def prompts_of(routed: Routed) -> list[Tensor]:
    return [bottleneck.prompts.detach() for bottleneck in routed.bottlenecks.values()]


@pytest.fixture(scope="module")
def fixture() -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in np.load(FIXTURE).items()}


def released_vit(fixture: dict[str, Tensor]) -> VisionTransformer:
    """timm's ViT with the weights of the released code's."""
    weights = {
        "cls_token": fixture["w.embeddings.cls_token"],
        "pos_embed": fixture["w.embeddings.position_embeddings"],
    }
    for part in ("weight", "bias"):
        weights[f"patch_embed.proj.{part}"] = fixture[f"w.embeddings.patch_embeddings.{part}"]
        weights[f"norm.{part}"] = fixture[f"w.encoder.encoder_norm.{part}"]
        for layer in range(3):
            old, new = f"w.encoder.layer.{layer}", f"blocks.{layer}"
            names = {"attn.proj": "attn.out", "mlp.fc1": "ffn.fc1", "mlp.fc2": "ffn.fc2"}
            for ours, theirs in {**names, "norm1": "attention_norm", "norm2": "ffn_norm"}.items():
                weights[f"{new}.{ours}.{part}"] = fixture[f"{old}.{theirs}.{part}"]
            fused = [fixture[f"{old}.attn.{name}.{part}"] for name in ("query", "key", "value")]
            weights[f"{new}.attn.qkv.{part}"] = torch.cat(fused)
    model = vit()
    model.load_state_dict(weights)
    return model


def test_the_released_codes_values(fixture: dict[str, Tensor]) -> None:
    model = released_vit(fixture)
    routed = attach(model, config(fourier=0.5), unfreeze=())
    given = torch.cat([fixture["prompts"], fixture["deep_prompts"]])
    for bottleneck, values in zip(routed.bottlenecks.values(), given, strict=True):
        bottleneck.prompts.data.copy_(values)
    seen: dict[str, Tensor] = {}
    model.blocks[0].norm1.register_forward_pre_hook(lambda _, inputs: seen.update(embedded=inputs[0]))
    model.blocks[2].norm2.register_forward_pre_hook(lambda _, inputs: seen.update(last=inputs[0]))
    model.blocks[2].mlp.register_forward_hook(lambda _, inputs, output: seen.update(change=output))
    with torch.no_grad():
        found = model.forward_features(fixture["img"])
        with_prompts = model.norm(seen["last"] + seen["change"])
    close = {"atol": 1e-6, "rtol": 1e-6}
    torch.testing.assert_close(seen["embedded"][:1, 1:4], fixture["fourier_first"], **close)
    torch.testing.assert_close(seen["embedded"], fixture["embed_with_prompts"], **close)
    torch.testing.assert_close(with_prompts, fixture["enc_half"], **close)
    own = torch.cat([fixture["enc_half"][:, :1], fixture["enc_half"][:, 1 + M :]], dim=1)
    torch.testing.assert_close(found, own, **close)


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("name", TOWERS)
def test_without_a_transform_it_is_vpt(name: str, deep: bool) -> None:
    tower = TOWERS[name]
    routed = attach(tower.make(), config(fourier=0, deep=deep), unfreeze=())
    assert len(routed.bottlenecks) == (3 if deep else 1)
    seen: list[Tensor] = []
    tower.blocks(routed.model)[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        expected = vpt(tower, tower.make(), prompts_of(routed), deep)
        embedded = first_tokens(tower, tower.make(), prompts_of(routed)[0])
        found, frozen = tower.tokens(routed.model, PIXELS), tower.tokens(tower.make(), PIXELS)
    assert torch.equal(seen[0], embedded)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    assert found.shape == frozen.shape and not torch.allclose(found, frozen, atol=1e-3)


@pytest.mark.parametrize("transform", ["hidden", "sequence", "both"])
def test_the_transform_in_loops(transform: str) -> None:
    """Re Σ P[a, b] exp(-2πi (a k / m + b l / D)): a product over one dimension only where the other is left alone."""
    routed = attach(vit(), config(tokens=7, fourier=0.5, transform=transform), unfreeze=())
    bottleneck = routed.bottlenecks["blocks.1"]
    prompts, m = numbers(bottleneck.prompts), 3
    over = {"hidden": (False, True), "sequence": (True, False), "both": (True, True)}[transform]

    def entry(k: int, l: int) -> float:  # noqa: E741
        rows = range(m) if over[0] else [k]
        columns = range(D) if over[1] else [l]
        return sum(
            prompts[a][b] * math.cos(2 * math.pi * (over[0] * a * k / m + over[1] * b * l / D))
            for a in rows
            for b in columns
        )

    expected = [[entry(k, column) for column in range(D)] for k in range(m)] + prompts[m:]
    found = bottleneck(2)
    torch.testing.assert_close(found[0], torch.tensor(expected), atol=2e-6, rtol=2e-6)
    assert torch.equal(found[0], found[1])


def columns_of(transform: str, m: int, width: int = D) -> Tensor:
    """The matrix of the linear map that the transform is, of m tokens as one vector."""
    routed = attach(vit(embed_dim=width), config(tokens=m, fourier=1.0, transform=transform), unfreeze=())
    bottleneck = routed.bottlenecks["blocks.0"].double()
    columns = []
    for unit in torch.eye(m * width, dtype=torch.float64):
        bottleneck.prompts.data.copy_(unit.view(m, width))
        columns.append(bottleneck(1).detach().flatten())
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize(
    ("transform", "m", "width", "rank", "scale"),
    [
        ("both", 3, 24, 37, math.sqrt(3 * 24 / 2)),
        ("both", 4, 24, 50, math.sqrt(4 * 24 / 2)),
        ("both", 3, 15, 23, math.sqrt(3 * 15 / 2)),
        ("hidden", 3, 24, 3 * 13, math.sqrt(24 / 2)),
        ("sequence", 6, 24, 24 * 4, math.sqrt(6 / 2)),
    ],
)
def test_rank_and_scale_of_the_transform(transform: str, m: int, width: int, rank: int, scale: float) -> None:
    """37 of 72 for three tokens of width 24: only the even part counts. Standard deviations grow by √(m D / 2)."""
    columns = columns_of(transform, m, width)
    assert int(torch.linalg.matrix_rank(columns)) == rank
    lengths = {"both": (m, width), "hidden": (width,), "sequence": (m,)}[transform]
    length, own_negatives = math.prod(lengths), math.prod(2 - each % 2 for each in lengths)
    assert rank == m * width // length * (length + own_negatives) // 2
    variances = columns.pow(2).sum(dim=1)  # of the entries, for independent values of variance 1
    assert float(variances.sqrt().median()) == pytest.approx(scale, rel=1e-9)
    assert float(variances.mean()) == pytest.approx((length + own_negatives) / 2, rel=1e-9)


def test_the_odd_part_of_the_prompts_gets_no_gradient() -> None:
    model = vit()
    routed = attach(model, config(tokens=4, fourier=1.0), unfreeze=())
    model.forward_features(PIXELS).pow(2).sum().backward()
    for bottleneck in routed.bottlenecks.values():
        gradient = bottleneck.prompts.grad
        mirrored = gradient.roll((-1, -1), dims=(0, 1)).flip(0, 1)
        torch.testing.assert_close(gradient, mirrored, atol=1e-6, rtol=1e-4)
        assert float(gradient.abs().max()) > 0


def test_prompts_start_uniform_in_the_published_bound() -> None:
    routed = attach(vit(), config(tokens=1000), unfreeze=())
    bound = math.sqrt(6 / (3 * 8**2 + D))
    for prompts in prompts_of(routed):
        assert bound * 0.999 < float(prompts.abs().max()) <= bound
        assert float(prompts.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize(("fourier", "dropped"), [(0.5, 3), (1.0, 6), (0.0, 6)])
def test_dropout_is_on_what_is_transformed_and_on_all_without_a_transform(fourier: float, dropped: int) -> None:
    routed = attach(vit(), config(fourier=fourier, dropout=0.5), unfreeze=())
    bottleneck = routed.bottlenecks["blocks.0"]
    still = bottleneck(2)
    bottleneck.train()
    torch.manual_seed(0)
    found = bottleneck(2)
    changed = (found != still).flatten(2).any(dim=2)
    assert changed.tolist() == [[True] * dropped + [False] * (M - dropped)] * 2
    assert not torch.equal(found[0], found[1])
    many = bottleneck(4000).mean(dim=0)
    torch.testing.assert_close(many, still[0], atol=0.2 if fourier else 0.01, rtol=0.0)


COMBINED = {"a": config(tokens=2, fourier=1.0), "b": config(tokens=3, fourier=0, deep=False)}


@pytest.mark.parametrize("names", ["ab", "ba", "aA", "bB"])
def test_several_configurations_on_one_tower(names: str) -> None:
    """Their order changes no output but by rounding, and each has its own tokens in its own blocks."""
    known = {**COMBINED, "A": config(tokens=4, layers=[1]), "B": config(tokens=1, deep=False)}
    routed = attach(vit(), {name: known[name] for name in names}, unfreeze=())
    model: Any = routed.model
    lengths: dict[int, int] = {}
    for number, block in enumerate(model.blocks):
        block.norm1.register_forward_pre_hook(lambda _, inputs, n=number: lengths.update({n: inputs[0].shape[1]}))
    found = model.forward_features(PIXELS)
    added = {"a": (2, 2, 2), "b": (3, 3, 3), "A": (0, 4, 0), "B": (1, 1, 1)}
    assert lengths == {n: 17 + sum(added[name][n] for name in names) for n in range(3)}
    values = {key: prompts.prompts for key, prompts in routed.bottlenecks.items()}
    other = attach(vit(), {name: known[name] for name in reversed(names)}, unfreeze=())
    for key, bottleneck in other.bottlenecks.items():
        bottleneck.prompts.data.copy_(values[key])
    torch.testing.assert_close(other.model.forward_features(PIXELS), found, atol=1e-5, rtol=1e-5)


def test_beside_other_bottlenecks_of_the_tower() -> None:
    both = {"prompts": config(), "lora": BottleneckConfig("lora", rank=2, tower="vision")}
    routed = attach(vit(), both, unfreeze=())
    alone = attach(vit(), config(), unfreeze=())
    for key, bottleneck in alone.bottlenecks.items():
        bottleneck.prompts.data.copy_(routed.bottlenecks[f"prompts:{key}"].prompts)
    step_0 = alone.model.forward_features(PIXELS)
    torch.testing.assert_close(routed.model.forward_features(PIXELS), step_0)
    torch.nn.init.normal_(routed.bottlenecks["lora:blocks.1.attn.qkv"].up.weight)
    assert not torch.allclose(routed.model.forward_features(PIXELS), step_0, atol=1e-3)


def test_prompts_in_some_blocks() -> None:
    for some in ({"layers": [0, 2]}, {"targets": ["blocks.0", "blocks.2"]}):
        assert list(attach(vit(), config(**some)).bottlenecks) == ["blocks.0", "blocks.2"]
    given = attach(vit(), config(), places={"bottleneck": ["blocks.1"]})
    assert list(given.bottlenecks) == ["blocks.1"]


@pytest.mark.parametrize("name", ["vit", "clip"])
def test_checkpointing_repeats_the_dropout(name: str) -> None:
    def gradients(checkpoint: bool) -> list[Tensor]:
        tower = TOWERS[name]
        model = tower.make()
        routed = attach(model, config(fourier=1.0, dropout=0.5), unfreeze=())
        if checkpoint and name == "vit":
            model.set_grad_checkpointing(True)
        elif checkpoint:
            enable_gradient_checkpointing(model)
        model.train()
        torch.manual_seed(8)
        tower.tokens(model, PIXELS).pow(2).sum().backward()
        return [bottleneck.prompts.grad for bottleneck in routed.bottlenecks.values()]

    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(recomputed, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_the_transform_is_computed_in_float32(dtype: torch.dtype) -> None:
    routed = attach(vit(), config(fourier=1.0), unfreeze=())
    bottleneck = routed.bottlenecks["blocks.0"]
    expected = bottleneck(2)
    routed.model.to(dtype)  # the prompts as well
    assert bottleneck(2).dtype == torch.float32
    torch.testing.assert_close(bottleneck(2), expected, atol=0.05, rtol=0.0)
    found = routed.model.forward_features(PIXELS.to(dtype))
    assert found.dtype == dtype and found.isfinite().all()


@pytest.mark.parametrize("deep", [True, False])
def test_prompts_per_task(deep: bool) -> None:
    routed = attach(vit(), config(per_task=True, deep=deep), unfreeze=(), tasks=["vqa", "captions"])
    model: Any = routed.model
    for task in ("vqa", "captions"):
        alone = attach(vit(), config(deep=deep), unfreeze=())
        for key, bottleneck in alone.bottlenecks.items():
            bottleneck.prompts.data.copy_(routed.bottlenecks[f"{key}@{task}"].prompts)
        with routed.look_at(None, task=task):
            assert torch.equal(model.forward_features(PIXELS), alone.model.forward_features(PIXELS))


@pytest.mark.parametrize("deep", [True, False])
def test_saved_copied_and_detached(deep: bool, tmp_path: Path) -> None:
    model = vit()
    frozen = model.forward_features(PIXELS)
    routed = attach(model, config(deep=deep))
    expected = model.forward_features(PIXELS)
    copied = copy.deepcopy(routed)
    routed.save(tmp_path)
    restored = load(tmp_path, vit())
    for bottleneck in routed.bottlenecks.values():
        bottleneck.prompts.data.zero_()
    for same in (restored, copied):
        assert torch.equal(same.model.forward_features(PIXELS), expected)
    assert torch.equal(routed.detach().forward_features(PIXELS), frozen)
    assert not any(block._forward_pre_hooks or block._forward_hooks for block in model.blocks)


@pytest.mark.parametrize("name", ["resnet18", "swin_tiny_patch4_window7_224", "eva02_tiny_patch14_224"])
def test_towers_without_such_blocks_are_refused(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=0)
    with pytest.raises(ValueError, match=f"{type(model).__name__} is none that it knows; choose a VisionTransformer"):
        attach(model, config())


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"tower": "language"}, "set tower: vision, or kind: prompt"),
        ({"routing": "mul"}, "kind: vfpt cannot route: trained tokens have no two projections"),
        ({"deep": False, "layers": [1]}, "leave out layers, or set deep: true"),
        ({"deep": False, "targets": ["blocks.0"]}, "leave out targets, or set deep: true"),
        ({"fourier": 0, "transform": "hidden"}, "leave out transform, or raise fourier"),
        ({"fourier": 1.5}, "fourier: 1.5"),
        ({"transform": "heads"}, "'heads' is not one of hidden, sequence, both"),
    ],
)
def test_what_the_configuration_refuses(keys: dict[str, Any], wrong: str) -> None:
    assert wrong in " ".join(str(problem) for problem in check(config(**keys)))


@pytest.mark.parametrize(
    ("tokens", "fourier", "m"), [(10, 0.5, 5), (100, 0.29, 29), (7, 0.5, 3), (1, 0.9, 0), (9, 1, 9)]
)
def test_how_many_tokens_are_transformed(tokens: int, fourier: float, m: int) -> None:
    assert config(tokens=tokens, fourier=fourier).transformed == m
