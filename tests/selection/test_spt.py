"""SPT: the released code's sensitivities and choices, planted models, and closed forms at published sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from timm.layers import Attention
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPModel

from tests.command_line import REPOSITORY
from tests.tiny_backbones import save_tiny_clip
from tests.tiny_models import inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Target, attach
from vlrouting.selection.spt.budget import STEPS, Choice, choose
from vlrouting.selection.spt.groups import Group, Tower, class_tokens, groups_of
from vlrouting.selection.spt.select import flat_values, selection_of
from vlrouting.selection.spt.sensitivity import measure

MATRICES = ("attn.q", "attn.k", "attn.v", "attn.proj", "mlp.fc1", "mlp.fc2")
SPARSE = ("entries", BottleneckConfig(kind="sparse"))


@cache
def stored() -> dict[str, np.ndarray]:
    with np.load(REPOSITORY / "tests" / "fixtures" / "seed_systems" / "spt.npz") as file:
        return dict(file)


def lora(rank: int, **more: object) -> tuple[str, BottleneckConfig]:
    return "matrices", BottleneckConfig(kind="lora", rank=rank, **more)


@cache
def released() -> tuple[Tower, list[Group], dict[str, Tensor]]:
    """The fixture's ViT, whose three projections timm has as one, and its measured sensitivities."""
    sizes = {"img_size": 16, "patch_size": 8, "embed_dim": 24, "depth": 12, "num_heads": 2, "mlp_ratio": 2}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=5, **sizes).eval()
    weights = {name.removeprefix("vit."): torch.from_numpy(v) for name, v in stored().items() if name[:4] == "vit."}
    for number in range(12):
        for part in ("weight", "bias"):
            three = [weights.pop(f"blocks.{number}.attn.{role}.{part}") for role in "qkv"]
            weights[f"blocks.{number}.attn.qkv.{part}"] = torch.cat(three)
    model.load_state_dict(weights)
    tower = Tower("vision", model, lora(2, tower="vision"), SPARSE, 24)
    groups = groups_of(tower)
    batches = zip(torch.from_numpy(stored()["imgs"]), torch.from_numpy(stored()["labels"]), strict=True)
    sums = measure(
        {group.key: model.get_parameter(group.parameter) for group in groups},
        batches,
        lambda batch: functional.cross_entropy(model(batch[0]), batch[1]),
    )
    return tower, groups, sums


def released_name(group: Group) -> str:
    """As the released code has it, with three projections."""
    module, _, part = group.parameter.rpartition(".")
    if not module.endswith("qkv"):
        return group.parameter
    role = "qkv"[group.span.start * 3 // (group.span.stop - group.span.start) // 3]
    return f"{module.removesuffix('qkv')}{role}.{part}"


def chosen_from(budget: int, step: int = 20, alpha: float = 10, beta: float = 5) -> Choice:
    _, groups, sums = released()
    values = [flat_values(group, sums) for group in groups]
    return choose(groups, values, budget=budget, step=step, alpha=alpha, beta=beta, always=24)


def test_the_released_sensitivities() -> None:
    tower, groups, sums = released()
    found = {released_name(group): flat_values(group, sums) for group in groups}
    keys = stored()["sens_keys"].tolist()
    assert sorted(found) == sorted(keys)
    expected = torch.from_numpy(stored()["sens_flat"])
    torch.testing.assert_close(torch.cat([found[key] for key in keys]), expected, atol=1e-6, rtol=0)
    assert class_tokens(tower) == ["cls_token"]


def dropped(choice: Choice) -> int:
    """Chosen weights that the released code counts and does not train: of norms that do not train as a whole."""
    _, groups, sums = released()
    flat = torch.cat([flat_values(group, sums) for group in groups])
    least = flat.topk(choice.chosen).values[-1]
    norms = [g for g in groups if "norm" in g.parameter and g not in choice.vectors]
    return sum(int((flat_values(group, sums) >= least).sum()) for group in norms)


@pytest.mark.parametrize("number", range(7))
def test_the_released_choice_at_every_budget(number: int) -> None:
    choice = chosen_from(round(1000 * float(stored()["budget_k"][number])))
    tuned = np.zeros((12, 6), dtype=int)
    for group in choice.matrices:
        _, block, module = released_name(group).removesuffix(".weight").split(".", 2)
        tuned[int(block), MATRICES.index(module)] = 1
    assert np.array_equal(tuned, stored()["tuned_matrices"][number])
    assert choice.trainable + dropped(choice) == round(1000 * float(stored()["budget_real"][number]))


def test_the_released_single_weights() -> None:
    """The released indices run over what is neither a chosen matrix nor a chosen vector, one after the other."""
    choice = chosen_from(400)
    _, groups, _ = released()
    of = {released_name(group): group for group in groups}
    entries = {released_name(group): at for group, at in choice.entries}
    whole = {released_name(group) for group in (*choice.matrices, *choice.vectors)}
    start, found, in_norms = 0, [], 0
    indices = stored()["unstructured_idx_04"]
    for key in stored()["sens_keys"].tolist():
        if key in whole:
            continue
        size = len(of[key].span)
        if "norm" in key:
            in_norms += int(((indices >= start) & (indices < start + size)).sum())
            assert key not in entries
        else:
            found += [start + position for position in entries[key]]
        start += size
    assert set(found) <= set(indices.tolist()) and len(found) + in_norms == len(indices) and in_norms > 0


PARTS = {
    "both": (lora(2, tower="vision"), SPARSE),
    "matrices": (lora(2, tower="vision"), None),
    "entries": (None, SPARSE),
}


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("budget", [50, 400, 600, 1000, 4000])
def test_exactly_what_is_counted_trains(parts: str, budget: int) -> None:
    """On the fused projection, with slices of its bias; the model starts as it was."""
    original, _, sums = released()
    tower = replace(original, matrices=PARTS[parts][0], entries=PARTS[parts][1])
    groups = groups_of(tower)
    values = [flat_values(group, sums) for group in groups]
    choice = choose(groups, values, budget=budget, step=20, alpha=10, beta=5, always=24)
    configs = dict(part for part in PARTS[parts] if part is not None)
    selection = selection_of(configs, [choice], [tower])
    assert selection.vision_unfreeze[0] == "cls_token" and not selection.unfreeze
    images = torch.from_numpy(stored()["imgs"][0])
    before = tower.model(images)
    routed = attach(tower.model, configs, places=selection.places, unfreeze=selection.vision_unfreeze)
    try:
        assert routed.trainable_parameters == choice.trainable
        assert torch.equal(tower.model(images), before)
    finally:
        routed.detach()


def test_against_every_number_tried_one_by_one() -> None:
    torch.manual_seed(0)
    tower = Tower("vision", nn.Linear(1, 1), None, None, 1)
    target = Target("a", ("a",))
    for seed in range(30):
        draw = np.random.default_rng(seed)
        groups, values = [], []
        for number in range(6):
            size, is_vector = int(draw.integers(2, 30)), bool(number % 2)
            offset = 0 if draw.random() < 0.7 else None
            matrix = {} if is_vector or draw.random() < 0.3 else {"target": target, "cost": int(draw.integers(1, 40))}
            groups.append(Group(tower, str(number), range(size), **matrix, offset=offset, is_vector=is_vector))
            values.append(torch.from_numpy(draw.permutation(10_000)[:size].astype("float32")) * (draw.random() < 0.8))
        budget, step = int(draw.integers(1, 60)), int(draw.integers(1, 4))
        alpha, beta = float(draw.integers(1, 8)), float(draw.integers(1, 8))
        if not any(bool(each.any()) for each in values):
            continue
        found = choose(groups, values, budget=budget, step=step, alpha=alpha, beta=beta)
        positive = int(sum((each > 0).sum() for each in values))
        numbers = dict.fromkeys(min(step * number, positive) for number in range(1, STEPS + 1))
        totals = {number: by_hand(groups, values, number, alpha, beta) for number in numbers}
        best = min(totals, key=lambda number: abs(totals[number] - budget))
        assert (found.chosen, found.trainable) == (best, totals[best])
        said = (
            [g.cost for g in found.matrices]
            + [len(g.span) for g in found.vectors]
            + [len(at) for _, at in found.entries]
        )
        assert sum(said) == found.trainable


def by_hand(groups: Sequence[Group], values: Sequence[Tensor], number: int, alpha: float, beta: float) -> int:
    """Parameters that train with this number of chosen weights."""
    least = torch.cat(list(values)).sort(descending=True).values[number - 1]
    total = 0
    for group, own in zip(groups, values, strict=True):
        count = int((own >= least).sum())
        if count and group.is_vector and count >= len(own) / beta:
            total += len(own)
        elif count and group.target is not None and count >= group.cost / alpha:
            total += group.cost
        elif group.offset is not None:
            total += count
    return total


@pytest.mark.parametrize("family", ["gpt2", "bert", "bart", "llama"])
def test_a_layer_that_cannot_matter_is_never_chosen(family: str) -> None:
    """The MLP of the first block gives zero whatever it reads, so nothing before its last projection matters."""
    model = tiny(family)
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith(DEAD[family][0]):
                module.weight.zero_()
    tower = Tower("language", model, lora(2, routing="none"), SPARSE, 24)
    groups = groups_of(tower)
    batches = [inputs(family, seed=seed) for seed in range(2)]
    weights = {group.key: model.get_parameter(group.parameter) for group in groups}
    sums = measure(weights, batches, lambda batch: model(**batch)[0].square().mean())
    values = [flat_values(group, sums) for group in groups]
    for budget in (200, 10_000, 10**9):
        choice = choose(groups, values, budget=budget, step=budget, alpha=10, beta=5)
        parts = [*choice.matrices, *choice.vectors, *(group for group, at in choice.entries if at)]
        names = [group.parameter for group in parts]
        assert names and not [name for name in names if any(part in name for part in DEAD[family][1:])]
        alive = [name for name in names if DEAD[family][0] in name]
        assert alive or budget == 200  # the last projection itself does matter


def test_the_most_sensitive_weights_of_a_transposed_projection() -> None:
    """GPT-2 stores its weights as (inputs, outputs); entries count outputs first, and after them the bias."""
    model = tiny("gpt2")
    tower = Tower("language", model, None, SPARSE, 24)
    groups = groups_of(tower)
    weights = {group.key: model.get_parameter(group.parameter) for group in groups}
    sums = measure(weights, [inputs("gpt2")], lambda batch: model(**batch)[0].square().mean())
    values = [flat_values(group, sums) for group in groups]
    choice = choose(groups, values, budget=300, step=10, alpha=1, beta=1)
    least = torch.cat(values).topk(choice.chosen).values[-1]
    places = selection_of({"entries": SPARSE[1]}, [choice], [tower]).places["entries"]
    found = {target.name: list(target.entries) for target in places}
    assert len(found) > 3 and choice.trainable == sum(map(len, found.values()))
    for name, module in model.named_modules():
        if type(module).__name__ == "Conv1D":
            parts = [sums[f"language.{name}.weight"].T.flatten(), sums[f"language.{name}.bias"]]
            assert found.get(name, []) == (torch.cat(parts) >= least).nonzero().flatten().tolist()
    assert any(max(entries) >= model.get_parameter(f"{name}.weight").numel() for name, entries in found.items())


DEAD = {
    "gpt2": ("h.0.mlp.c_proj", "h.0.mlp.c_fc", "h.0.ln_2"),
    "bert": ("layer.0.output.dense", "layer.0.intermediate"),
    "bart": ("encoder.layers.0.fc2", "encoder.layers.0.fc1"),
    "llama": ("layers.0.mlp.down_proj", "layers.0.mlp.up_proj", "layers.0.mlp.gate_proj", "layers.0.post_attention"),
}
"""The last projection of a block's MLP, and what only it reads."""


def test_weights_that_the_loss_does_not_reach_and_no_gradients_that_stay() -> None:
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    weights = dict(model.named_parameters())
    for weight in weights.values():
        weight.requires_grad_(False)
    batches = [torch.randn(4, 3) for _ in range(3)]

    def loss(batch: Tensor) -> Tensor:
        assert not any(weight.grad is not None for weight in weights.values())  # those of the batch before are gone
        squares: Tensor = model[0](batch).square()
        return squares.mean()

    sums = measure(weights, batches, loss)
    assert not any(weight.requires_grad or weight.grad is not None for weight in weights.values())
    expected = torch.zeros(3, 3)
    weights["0.weight"].requires_grad_(True)
    for batch in batches:
        (gradient,) = torch.autograd.grad(model[0](batch).square().mean(), weights["0.weight"])
        expected += gradient.square()
    torch.testing.assert_close(sums["0.weight"], expected)
    assert not sums["1.weight"].any() and not sums["1.bias"].any()
    with pytest.raises(ValueError, match="no finite numbers"):
        measure(weights, batches, lambda batch: model[0](batch).square().mean() * torch.inf)
    with pytest.raises(ValueError, match="no weight changes the loss"):
        group = Group(Tower("vision", model, None, None, 1), "0.bias", range(3), is_vector=True)
        choose([group], [torch.zeros(3)], budget=1, step=1, alpha=1, beta=1)


def vit_b16() -> nn.Module:
    with torch.device("meta"):
        return timm.create_model("vit_base_patch16_224", num_classes=0)


def test_closed_forms_at_the_published_size() -> None:
    """ViT-B/16, rank 8; and the authors' choice for CIFAR-100 at 0.4 M: v 4, proj 3, fc1 4, fc2 3 matrices."""
    model = vit_b16()
    tower = Tower("vision", model, lora(8, tower="vision"), SPARSE, 768)
    groups = groups_of(tower)
    costs = {(group.span.stop - group.span.start, group.cost) for group in groups if not group.is_vector}
    assert costs == {(768 * 768, 8 * 2 * 768), (768 * 3072, 8 * (768 + 3072))}
    assert sum(group.target is not None for group in groups) == 12 * 6
    assert sum(len(group.span) for group in groups) == 12 * (12 * 768 * 768 + 13 * 768) + 2 * 768
    value = [Target(f"blocks.{n}.attn.qkv", (f"blocks.{n}.attn.qkv",), (range(1536, 2304),)) for n in range(4)]
    rest = [
        f"blocks.{n}.{part}" for part, count in (("attn.proj", 3), ("mlp.fc1", 4), ("mlp.fc2", 3)) for n in range(count)
    ]
    places = {
        "matrices": [*value, *rest],
        "entries": [Target("blocks.9.mlp.fc1", ("blocks.9.mlp.fc1",), entries=(3, 8))],
    }
    routed = attach(
        model, dict([tower.matrices, SPARSE]), places=places, unfreeze=["cls_token", "blocks.5.mlp.fc1.bias"]
    )
    assert routed.trainable_parameters == 7 * 12_288 + 7 * 30_720 + 2 + 768 + 3072


def test_an_adapter_stands_behind_a_whole_fused_projection() -> None:
    adapter = ("matrices", BottleneckConfig(kind="adapter", rank=8, tower="vision"))
    groups = [group for group in groups_of(Tower("vision", vit_b16(), adapter, SPARSE, 768)) if group.target]
    assert len(groups) == 12 * 4
    sizes = {group.module.partition(".attn.")[2]: (len(group.span), group.cost) for group in groups}
    assert sizes["qkv"] == (3 * 768 * 768, 2 * 8 * 2304 + 8 + 2304)
    assert sizes["proj"] == (768 * 768, 2 * 8 * 768 + 8 + 768)


def test_the_vision_tower_of_clip(tmp_path: Path) -> None:
    """Of transformers, with a class token of its own name and three projections."""
    model = CLIPModel.from_pretrained(save_tiny_clip(tmp_path)).vision_model
    tower = Tower("vision", model, lora(2, tower="vision"), SPARSE, 24)
    groups = groups_of(tower)
    assert sum(group.target is not None for group in groups) == 2 * 6
    assert class_tokens(tower) == ["embeddings.class_embedding"]
    assert not [group for group in groups if "embedding" in group.parameter]
    assert {"pre_layrnorm.weight", "post_layernorm.bias"} <= {group.parameter for group in groups if group.is_vector}


def test_which_matrices_the_bottleneck_of_the_user_may_go_to() -> None:
    model = tiny("gpt2")
    tower = Tower("language", model, lora(2, targets=["query", "value"], routing="mul"), SPARSE, 24)
    found = [(group.module, group.span) for group in groups_of(tower) if group.target is not None]
    assert found == [
        (f"transformer.h.{n}.attn.c_attn", range(24 * at, 24 * (at + 24))) for n in (0, 1) for at in (0, 48)
    ]
    few = ("entries", BottleneckConfig(kind="sparse", targets=["key"], layers=[1]))
    singles = [group for group in groups_of(Tower("language", model, None, few, 24)) if group.offset is not None]
    assert {group.module for group in singles} == {"transformer.h.1.attn.c_attn"}
    embeddings = ("wte", "wpe", "lm_head")
    assert not [group for group in groups_of(tower) if any(part in group.parameter for part in embeddings)]
    with pytest.raises(ValueError, match="set shared_down: false"):
        groups_of(Tower("language", model, lora(2, routing="mul"), SPARSE, 24))
    shared = ("matrices", BottleneckConfig(kind="adapter", rank=2, shared=True))
    with pytest.raises(ValueError, match=r"cannot on .*; choose lora or adapter, with shared: false"):
        groups_of(Tower("language", model, shared, SPARSE, 24))


def tensors(*names: str) -> list[Tensor]:
    return [torch.from_numpy(stored()[name]) for name in names]


def test_the_released_attention_with_lora_on_slices_of_the_fused_projection() -> None:
    """LoRA on query, value and output of an attention, and alone."""
    model = nn.ModuleDict({"attn": Attention(24, num_heads=2, qkv_bias=True)})
    for part in ("weight", "bias"):
        fused = torch.cat(tensors(*(f"par.{role}.{part}" for role in "qkv")))
        model.load_state_dict({f"attn.qkv.{part}": fused, f"attn.proj.{part}": tensors(f"par.proj.{part}")[0]}, False)
    qkv = Target("attn.qkv", ("attn.qkv",), (range(24), range(48, 72)))
    config = BottleneckConfig(kind="lora", rank=3)
    routed = attach(model, config, places={"bottleneck": [qkv, "attn.proj"]}, unfreeze=(), visual_width=24)
    for name, roles in (("attn.qkv", ("q", "v")), ("attn.proj", ("proj",))):
        down, up = (
            torch.cat(tensors(*(f"par.structured_{role}.learnable.{number}.weight" for role in roles)))
            for number in (0, 1)
        )
        routed.bottlenecks[name].load_state_dict({"down.weight": down, "up.weight": up})
    x, out = tensors("x", "par_out")
    torch.testing.assert_close(model["attn"](x), out, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["lora", "adapter"])
def test_the_released_modules(kind: str) -> None:
    """What is added to the layer: the adapter of the released code has GELU, as the ViT has."""
    model = timm.create_model("vit_tiny_patch16_224", img_size=16, embed_dim=24, depth=1, num_heads=2, num_classes=0)
    config = BottleneckConfig(kind=kind, rank=4, targets=["*.attn.proj"])
    (bottleneck,) = attach(model, config, unfreeze=()).bottlenecks.values()
    state = {name: torch.from_numpy(v) for name, v in stored().items() if name.startswith(f"{kind}.learnable.")}
    down, *_, up = sorted({name.rpartition(".")[0] for name in state})
    names = {name: name.replace(down, "down").replace(up, "up") for name in state}
    bottleneck.load_state_dict({names[name]: value for name, value in state.items()})
    x, out = tensors("x", f"{kind}_out")
    torch.testing.assert_close(bottleneck.update(x), out, atol=1e-6, rtol=0)
