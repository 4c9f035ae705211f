"""The kinds that the peft package has too: the same outputs with the same weights, on models with Linear and Conv1D."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn

from tests.tiny_models import inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, attach

RANK = 4
TARGETS = {"bert": ["query", "value"], "gpt2": ["c_attn"]}
"""Names of modules for peft; the same as patterns for vlrouting."""


def lora_weights(layer: Any) -> dict[str, Tensor]:
    weights = {"down.weight": layer.lora_A["default"].weight, "up.weight": layer.lora_B["default"].weight}
    magnitude = layer.lora_magnitude_vector["default"].weight if len(layer.lora_magnitude_vector) else None
    return weights if magnitude is None else {**weights, "magnitude": magnitude}


def lora(**options: Any) -> Callable[[str], peft.PeftConfig]:
    return lambda family: peft.LoraConfig(
        r=RANK, lora_alpha=6, target_modules=TARGETS[family], fan_in_fan_out=family == "gpt2", **options
    )


def vera_weights(layer: Any) -> dict[str, Tensor]:
    return {"down.scale": layer.vera_lambda_d["default"], "up.scale": layer.vera_lambda_b["default"]}


def vera(family: str) -> peft.PeftConfig:
    return peft.VeraConfig(r=RANK, target_modules=TARGETS[family], fan_in_fan_out=family == "gpt2")


def ia3(family: str) -> peft.PeftConfig:
    mlp = {"bert": r"layer\.\d+\.output\.dense", "gpt2": r"mlp\.c_proj"}[family]
    inner = r"key|value" if family == "bert" else r"c_attn"
    pattern = rf".*\.({inner}|{mlp})"
    return peft.IA3Config(target_modules=pattern, feedforward_modules=rf".*\.{mlp}", fan_in_fan_out=family == "gpt2")


CASES: dict[str, tuple[dict[str, Any], Callable[[str], peft.PeftConfig], Callable[[Any], dict[str, Tensor]]]] = {
    "lora": ({"kind": "lora", "rank": RANK, "alpha": 6}, lora(), lora_weights),
    "rslora": (
        {"kind": "lora", "rank": RANK, "alpha": 6, "scaling": "rank_stabilized"},
        lora(use_rslora=True),
        lora_weights,
    ),
    "dora": ({"kind": "dora", "rank": RANK, "alpha": 6}, lora(use_dora=True), lora_weights),
    "vera": ({"kind": "vera", "rank": RANK}, vera, vera_weights),
    "ia3": ({"kind": "ia3"}, ia3, lambda layer: {"scale": layer.ia3_l["default"]}),
}
IA3_TARGETS = {"bert": ["key", "value", "down"], "gpt2": ["*.attn.c_attn", "down"]}
"""peft scales the whole output of a fused projection, the queries too."""


@pytest.mark.parametrize("family", TARGETS)
@pytest.mark.parametrize("case", CASES)
def test_the_same_outputs_and_gradients_with_the_same_weights(case: str, family: str) -> None:
    keys, config, weights = CASES[case]
    theirs = peft.get_peft_model(tiny(family), config(family)).eval()
    patterns = IA3_TARGETS[family] if case == "ia3" else [f"*.{target}" for target in TARGETS[family]]
    routed = attach(tiny(family), BottleneckConfig(targets=patterns, **keys), unfreeze=())
    torch.manual_seed(7)
    pairs = []
    for name, bottleneck in routed.bottlenecks.items():
        layer: Any = theirs.get_submodule(f"base_model.model.{name}")
        copied = weights(layer)
        if case == "vera":
            bottleneck.down.frozen.weight = layer.vera_A["default"]
            bottleneck.up.frozen.weight = layer.vera_B["default"]
        for key, parameter in bottleneck.named_parameters():
            nn.init.normal_(copied[key], std=0.3) if key != "magnitude" else copied[key].data.mul_(1.3)
            parameter.data.copy_(copied[key].data.view_as(parameter))
            pairs.append((parameter, copied[key]))
    expected, found = theirs(**inputs(family))[0], routed.model(**inputs(family))[0]
    assert not torch.allclose(expected, tiny(family)(**inputs(family))[0], atol=1e-3)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for outputs in (found, expected):
        outputs.pow(2).mean().backward()
    for own, other in pairs:
        torch.testing.assert_close(own.grad, other.grad.view_as(own), atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        merged = routed.merge()(**inputs(family))[0]
    torch.testing.assert_close(merged, expected, atol=1e-5, rtol=1e-5)
