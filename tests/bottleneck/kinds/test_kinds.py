"""What every kind with two projections keeps, whatever its formula: files, copies, precision, beams, checkpointing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.tiny_models import images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach, load
from vlrouting.bottleneck.kinds.dora import DoRA

KINDS: dict[str, dict[str, Any]] = {
    "dora": {"kind": "dora", "rank": 4},
    "vera": {"kind": "vera", "rank": 4, "projection_seed": 3},
    "compacter": {"kind": "compacter", "rank": 4},
    "compacter-whole": {"kind": "compacter", "rank": 4, "factor_rank": None, "shared_rule": False},
    "vl_pet-large": {"kind": "vl_pet", "rank": 4},
    "vl_pet-middleY": {"kind": "vl_pet", "rank": 4, "granularity": "middleY"},
    "genft": {"kind": "genft", "rank": 4, "layer_rank": 2, "final_activation": "identity"},
    "genft-peft": {"kind": "genft", "rank": 4, "layer_rank": 2, "final_activation": "identity", "orientation": "peft"},
}
STARTS_FROZEN = [kind for kind in KINDS if kind != "vl_pet-large" and not kind.startswith("genft")]
FAMILIES = ("gpt2", "bart")
ALL = pytest.mark.parametrize(("kind", "family"), [(kind, family) for kind in KINDS for family in FAMILIES])


def attached(kind: str, family: str, dtype: torch.dtype = torch.float32) -> Routed:
    return attach(tiny(family).to(dtype), BottleneckConfig(routing="mul", **KINDS[kind]))


@torch.no_grad()
def moved(routed: Routed, seed: int = 4) -> Routed:
    torch.manual_seed(seed)
    for bottleneck in routed.bottlenecks.values():
        for parameter in bottleneck.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return routed


def run(routed: Routed, family: str) -> Tensor:
    with routed.look_at(images().to(next(routed.model.parameters()).dtype)):
        outputs: Tensor = routed.model(**inputs(family))[0]
    return outputs


@ALL
def test_saved_loaded_and_copied(kind: str, family: str, tmp_path: Path) -> None:
    routed = moved(attached(kind, family))
    with torch.no_grad():
        expected = run(routed, family)
        routed.save(tmp_path)
        assert not any("frozen" in name for name in load_file(tmp_path / "adapter_model.safetensors"))
        assert torch.equal(run(load(tmp_path, tiny(family)), family), expected)
        twin = copy.deepcopy(routed)
        assert torch.equal(run(twin, family), expected)
        moved(twin, seed=5)
        assert not torch.allclose(run(twin, family), expected, atol=1e-3)
        assert torch.equal(run(routed, family), expected)
        routed.model.to(torch.float64).to(torch.float32)
        assert torch.equal(run(routed, family), expected)


def test_veras_projections_are_those_of_the_seed_after_any_change_of_precision(tmp_path: Path) -> None:
    routed = attached("vera", "gpt2")
    first, second = list(routed.bottlenecks.values())[:2]
    drawn = first.down.frozen.weight.clone()
    assert first.down.frozen is second.down.frozen and first.up.frozen is second.up.frozen
    routed.save(tmp_path)
    loaded = next(iter(load(tmp_path, tiny("gpt2")).bottlenecks.values()))
    assert torch.equal(loaded.down.frozen.weight, drawn)
    routed.model.to(torch.bfloat16)
    assert torch.equal(first.down.frozen.weight, drawn.to(torch.bfloat16))
    routed.model.to(torch.float32)
    assert torch.equal(first.down.frozen.weight, drawn)
    other = attach(tiny("gpt2"), BottleneckConfig("vera", rank=4, projection_seed=4, routing="mul"))
    assert not torch.equal(next(iter(other.bottlenecks.values())).down.frozen.weight, drawn)
    # These numbers are in every artifact: they must never change.
    expected = torch.tensor([-0.2366388, 0.3872418, -0.2291692])
    torch.testing.assert_close(drawn[0, :3], expected, atol=1e-6, rtol=0)


@ALL
def test_frozen_weights_in_bfloat16(kind: str, family: str) -> None:
    with torch.no_grad():
        frozen = tiny(family).to(torch.bfloat16)(**inputs(family))[0]
    routed = attached(kind, family, torch.bfloat16)
    assert all(p.dtype == torch.float32 for b in routed.bottlenecks.values() for p in b.parameters())
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed), torch.no_grad():
            assert kind not in STARTS_FROZEN or torch.equal(run(routed, family), frozen)
            assert run(routed, family).dtype == torch.bfloat16
    moved(routed)
    with torch.autocast("cpu", torch.bfloat16):
        run(routed, family).float().pow(2).mean().backward()
    for bottleneck in routed.bottlenecks.values():
        for name, parameter in bottleneck.named_parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


@ALL
@torch.no_grad()
def test_beams_of_a_batch_are_those_of_its_examples(kind: str, family: str) -> None:
    routed, visual = moved(attached(kind, family)), images(batch=2)
    ids = inputs(family, batch=2)["input_ids"]
    options = {"num_beams": 3, "max_new_tokens": 5, "do_sample": False, "pad_token_id": 1, "eos_token_id": 49}

    def generated(rows: slice) -> list[list[int]]:
        with routed.look_at(visual[rows]):
            found = routed.model.generate(input_ids=ids[rows], **options)  # type: ignore[operator]
        return found.tolist()  # type: ignore[no-any-return]

    together = generated(slice(0, 2))
    assert together == [*generated(slice(0, 1)), *generated(slice(1, 2))]
    with routed.look_at(visual):
        uncached = routed.model.generate(input_ids=ids, use_cache=False, **options)  # type: ignore[operator]
    assert uncached.tolist() == together


@ALL
def test_gradients_with_checkpointing(kind: str, family: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        routed = moved(attached(kind, family))
        if checkpointing:
            routed.model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
            for module in routed.model.modules():
                module.training = getattr(module, "gradient_checkpointing", False)
                if isinstance(getattr(module, "dropout", None), float):
                    module.dropout = 0.0
        run(routed, family).pow(2).mean().backward()
        gradients.append([p.grad for b in routed.bottlenecks.values() for p in b.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)
        assert plain.abs().max() > 0


@ALL
def test_attached_without_weights_it_has_the_same_parameters(kind: str, family: str) -> None:
    empty = tiny(family).to("meta")
    routed = attach(empty, BottleneckConfig(routing="mul", **KINDS[kind]))
    assert routed.trainable_parameters == attached(kind, family).trainable_parameters
    assert all(parameter.is_meta for parameter in routed.model.parameters())


@torch.no_grad()
def test_doras_norm_is_computed_once_per_generated_text(monkeypatch: pytest.MonkeyPatch) -> None:
    routed, calls, norm = moved(attached("dora", "gpt2")), [], DoRA._norm
    monkeypatch.setattr(DoRA, "_norm", lambda *arguments: (calls.append(1), norm(*arguments))[1])
    ids = inputs("gpt2")["input_ids"]
    with routed.look_at(images()):
        routed.model.generate(input_ids=ids, max_new_tokens=4, do_sample=False, pad_token_id=1, eos_token_id=49)  # type: ignore[operator]
        assert len(calls) == len(routed.bottlenecks)
        before = routed.model(ids)[0]
        moved(routed)
        after = routed.model(ids)[0]
        assert not torch.allclose(after, before)
    with routed.look_at(images()):
        assert torch.equal(routed.model(ids)[0], after)
