"""`kind: sparse`: the released module's values, and single weights that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.command_line import REPOSITORY
from tests.tiny_models import inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, Target, attach, load
from vlrouting.bottleneck.projections import outputs_first

FIXTURE = REPOSITORY / "tests" / "fixtures" / "seed_systems" / "spt.npz"
C_ATTN, C_FC = "transformer.h.0.attn.c_attn", "transformer.h.1.mlp.c_fc"


def stored(*names: str) -> list[Tensor]:
    with np.load(FIXTURE) as file:
        return [torch.from_numpy(file[name]) for name in names]


def sparse(model: nn.Module, entries: dict[str, list[int]], **more: Any) -> Routed:
    places = {"bottleneck": [Target(name, (name,), entries=tuple(own)) for name, own in entries.items()]}
    return attach(model, BottleneckConfig(kind="sparse"), places=places, unfreeze=(), visual_width=8, **more)


def test_the_released_sparse_linear() -> None:
    weight, bias, x, (rows, columns), in_bias = stored("sp_w", "sp_b", "x", "sp_idx", "sp_bidx")
    values, bias_values, out, grad_bias, grad_x = stored("sp_val", "sp_bval", "sp_out", "sp_grad_b", "sp_grad_x")
    model = nn.Sequential(nn.Linear(24, 16))
    model.load_state_dict({"0.weight": weight, "0.bias": bias})
    entries = [*(rows * 24 + columns).tolist(), *(16 * 24 + in_bias).tolist()]
    delta = sparse(model, {"0": entries}).bottlenecks["0"]
    assert torch.equal(model(x), nn.functional.linear(x, weight, bias))
    order = torch.tensor(entries).argsort()
    delta.values.data.copy_(torch.cat([values, bias_values])[order])
    x.requires_grad_(True)
    found = model(x)
    torch.testing.assert_close(found, out, atol=1e-6, rtol=0)
    found.square().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, grad_x, atol=1e-6, rtol=1e-6)
    grad_weight = (2 * out).flatten(0, 1).T @ x.detach().flatten(0, 1)  # of the whole weight
    expected = torch.cat([grad_weight[rows, columns], grad_bias])[order]
    torch.testing.assert_close(delta.values.grad, expected, atol=1e-6, rtol=1e-6)
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["0.bottleneck.values"]


def test_many_entries_compute_what_few_do_and_merging_keeps_it(tmp_path: Path) -> None:
    """GPT-2 stores its weights transposed; more entries than channels take the other way of computing."""
    torch.manual_seed(3)
    few, many = torch.randperm(24 * 72)[:40].tolist(), torch.randperm(24 * 96)[:500].tolist()
    entries = {C_ATTN: [*few, 24 * 72 + 5], C_FC: [*many, 24 * 96 + 1]}
    routed = sparse(tiny("gpt2"), entries)
    batch = inputs("gpt2")
    before = tiny("gpt2")(**batch).logits
    assert torch.equal(routed.model(**batch).logits, before)
    changed = tiny("gpt2")
    for name, bottleneck in routed.bottlenecks.items():
        bottleneck.values.data.normal_(std=0.3)
        layer = changed.get_submodule(name)
        flat = torch.cat([outputs_first(layer).detach().flatten(), layer.bias.detach()])
        flat[torch.tensor(sorted(entries[name]))] += bottleneck.values.detach()
        outputs_first(layer).data.copy_(flat[: -len(layer.bias)].view(-1, 24))
        layer.bias.data.copy_(flat[-len(layer.bias) :])
    expected = changed(**batch).logits
    assert (expected - before).abs().max() > 0.1
    torch.testing.assert_close(routed.model(**batch).logits, expected, atol=2e-6, rtol=0)
    routed.save(tmp_path)
    again = load(tmp_path, tiny("gpt2"))
    assert again.places["bottleneck"] == routed.places["bottleneck"]
    assert torch.equal(again.model(**batch).logits, routed.model(**batch).logits)
    torch.testing.assert_close(again.merge()(**batch).logits, expected, atol=2e-6, rtol=0)


def test_beside_lora_on_another_slice_of_the_same_projection() -> None:
    configs = {"matrices": BottleneckConfig(kind="lora", rank=2), "entries": BottleneckConfig(kind="sparse")}
    key = 30 * 24 + 7  # in the slice of the keys
    places = {
        "matrices": [Target(C_ATTN, (C_ATTN,), (range(24),))],
        "entries": [Target(C_ATTN, (C_ATTN,), entries=(key,))],
    }
    routed = attach(tiny("gpt2"), configs, places=places, unfreeze=())
    batch = inputs("gpt2")
    before = routed.model(**batch).logits
    for parameter in (p for p in routed.model.parameters() if p.requires_grad):
        parameter.data.normal_()
    expected = routed.model(**batch).logits
    assert (expected - before).abs().max() > 0.01
    torch.testing.assert_close(routed.merge()(**batch).logits, expected, atol=5e-6, rtol=1e-5)


def test_without_entries_all_weights_of_the_targets_train() -> None:
    config = BottleneckConfig(kind="sparse", targets=["query", "value"])
    routed = attach(tiny("gpt2"), config, unfreeze=())
    assert routed.trainable_parameters == 2 * 2 * 24 * 24
    batch = inputs("gpt2")
    delta = routed.bottlenecks[C_ATTN]
    delta.values.data.normal_(std=0.3)
    changed = tiny("gpt2")
    query, value = delta.values.detach().view(2, 24, 24)
    weight = outputs_first(changed.get_submodule(C_ATTN))
    weight.data[:24] += query
    weight.data[48:] += value
    torch.testing.assert_close(routed.model(**batch).logits, changed(**batch).logits, atol=2e-6, rtol=0)
    assert attach(tiny("bert"), BottleneckConfig(kind="sparse"), unfreeze=()).trainable_parameters == 0


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation gives."""

    size = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        tensors = [made] if isinstance(made, Tensor) else [each for each in made or () if isinstance(each, Tensor)]
        self.size = max([self.size, *(tensor.numel() for tensor in tensors)])
        return made


@pytest.mark.parametrize("count", [200, 900])
def test_no_tensor_has_as_many_values_as_pairs_of_entries(count: int) -> None:
    model = nn.Sequential(nn.Linear(128, 96))
    routed = sparse(model, {"0": torch.randperm(96 * 128)[:count].tolist()})
    x = torch.randn(5, 10, 128)
    with Largest() as largest:
        model(x).sum().backward()
    assert 0 < largest.size <= max(50 * min(count, 96 + 128), 96 * 128) < count**2
    assert routed.bottlenecks["0"].values.grad is not None


@pytest.mark.parametrize("count", [20, 1000])
def test_in_bfloat16(count: int) -> None:
    """A frozen model in bfloat16 with deltas in float32, and autocast."""
    entries = {C_ATTN: torch.randperm(24 * 72)[:count].tolist()}
    batch = inputs("gpt2")
    whole = sparse(tiny("gpt2"), entries)
    whole.bottlenecks[C_ATTN].values.data.fill_(0.02)
    expected = whole.model(**batch).logits
    half = sparse(tiny("gpt2").to(torch.bfloat16), entries)
    half.bottlenecks[C_ATTN].values.data.fill_(0.02)
    found = half.model(**batch).logits
    assert found.dtype == torch.bfloat16 and half.bottlenecks[C_ATTN].values.dtype == torch.float32
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)
    with torch.autocast("cpu", torch.bfloat16):
        found = whole.model(**batch).logits
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)
    found.float().sum().backward()
    gradient = whole.bottlenecks[C_ATTN].values.grad
    assert gradient is not None and gradient.dtype == torch.float32 and bool(gradient.abs().sum() > 0)


def test_entries_outside_of_the_weight_and_modules_without_one() -> None:
    with pytest.raises(ValueError, match="has 1800 weights; an entry"):
        sparse(tiny("gpt2"), {C_ATTN: [24 * 72 + 72]})
    with pytest.raises(ValueError, match="expected a Linear"):
        sparse(tiny("gpt2"), {"transformer.ln_f": [0]})
