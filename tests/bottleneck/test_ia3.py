import pytest
import torch

from tests.tiny_models import WIDTH, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach

FAMILIES = ("bert", "gpt2", "bart", "t5", "llama")


def scaled(family: str) -> Routed:
    """A model whose scales are not 1 any more."""
    routed = attach(tiny(family), BottleneckConfig("ia3"), unfreeze=())
    torch.manual_seed(5)
    for bottleneck in routed.bottlenecks.values():
        torch.nn.init.normal_(bottleneck.scale, mean=1.0, std=0.3)
    return routed


@torch.no_grad()
def outputs(routed: Routed, family: str) -> torch.Tensor:
    return routed.model(**inputs(family))[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_step_0_equals_the_frozen_model_and_merged_equals_attached(family: str) -> None:
    with torch.no_grad():
        before = tiny(family)(**inputs(family))[0]
    assert torch.equal(outputs(attach(tiny(family), BottleneckConfig("ia3")), family), before)
    routed = scaled(family)
    attached = outputs(routed, family)
    assert not torch.allclose(attached, before, atol=1e-3)
    merged = routed.merge()
    with torch.no_grad():
        torch.testing.assert_close(merged(**inputs(family))[0], attached)


def test_it_scales_keys_values_and_mlp_activations_as_the_formula_says() -> None:
    routed = scaled("gpt2")
    assert [name.rpartition(".h.")[2] for name in routed.bottlenecks] == [
        f"{block}.{module}" for block in (0, 1) for module in ("attn.c_attn", "mlp.c_proj")
    ]
    fused = routed.bottlenecks["transformer.h.0.attn.c_attn"]
    down = routed.bottlenecks["transformer.h.0.mlp.c_proj"]
    x = torch.randn(2, 5, WIDTH, dtype=torch.float32)
    c_attn = routed.model.get_submodule("transformer.h.0.attn.c_attn")
    base = x @ c_attn.weight + c_attn.bias
    query, key, value = base.split(WIDTH, dim=-1)
    expected = torch.cat([query, key * fused.scale[:WIDTH], value * fused.scale[WIDTH:]], dim=-1)
    torch.testing.assert_close(c_attn(x), expected)
    hidden = torch.randn(2, 5, len(down.scale))
    c_proj = routed.model.get_submodule("transformer.h.0.mlp.c_proj")
    torch.testing.assert_close(c_proj(hidden), (hidden * down.scale) @ c_proj.weight + c_proj.bias)


def test_trainable_parameters_are_the_scales() -> None:
    blocks, inner = 2, 48
    assert attach(tiny("bert"), BottleneckConfig("ia3"), unfreeze=()).trainable_parameters == blocks * (
        2 * WIDTH + inner
    )


def test_routing_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="routing: kind: ia3 cannot route: it has no two projections"):
        attach(tiny("bert"), BottleneckConfig("ia3", routing="mul"))
