"""What routing does in one bottleneck, of every kind and at every place, against the definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, LowRankBottleneck, attach

CASES = [
    ("bert", {"kind": "lora", "routing": "mul", "alpha": 12}),
    ("bert", {"kind": "lora", "routing": "gram", "shared_down": False}),
    ("bert", {"kind": "lora", "routing": "none"}),
    ("bert", {"kind": "lora", "routing": "add", "place": "after_up"}),
    ("bert", {"kind": "lora", "routing": "cross_attention"}),
    ("gpt2", {"kind": "lora", "routing": "mul"}),  # a fused projection: one bottleneck for query and value
    ("gpt2", {"kind": "adapter", "routing": "expand"}),
    ("gpt2", {"kind": "adapter", "routing": "add", "shared": True}),
    ("gpt2", {"kind": "adapter", "routing": "add", "position": "parallel"}),
    ("bert", {"kind": "adapter", "routing": "mul", "residual": False}),
    ("gpt2", {"kind": "dora", "routing": "mul"}),
    ("gpt2", {"kind": "vera", "routing": "mul"}),
    ("bert", {"kind": "vera", "routing": "gram", "shared_down": False}),
    ("bert", {"kind": "compacter", "routing": "mul"}),
    ("bert", {"kind": "vl_pet", "routing": "add"}),
    ("gpt2", {"kind": "genft", "layer_rank": 2, "final_activation": "identity", "routing": "mul"}),
    ("bert", {"kind": "genft", "layer_rank": 2, "outer_activation": "identity", "routing": "none"}),
]


def bottleneck_and_image(family: str, keys: dict[str, object]) -> tuple[LowRankBottleneck, Tensor, object]:
    torch.manual_seed(3)
    routed = attach(tiny(family), BottleneckConfig(rank=4, **keys))  # type: ignore[arg-type]
    bottleneck = next(iter(routed.bottlenecks.values()))
    assert isinstance(bottleneck, LowRankBottleneck)
    for parameter in bottleneck.parameters():
        nn.init.normal_(parameter, std=0.4)
    return bottleneck.eval(), images(), routed


@pytest.mark.parametrize(("family", "keys"), CASES)
@torch.no_grad()
def test_with_routing_it_is_the_update_and_without_it_the_same_weights_alone(
    family: str, keys: dict[str, object]
) -> None:
    bottleneck, visual, routed = bottleneck_and_image(family, keys)
    x = torch.randn(3, 5, WIDTH)
    with routed.look_at(visual):  # type: ignore[attr-defined]
        trace = bottleneck.trace(bottleneck.down(x))

        torch.testing.assert_close(trace.update, bottleneck.update(x))
    torch.testing.assert_close(trace.plain, bottleneck.up(bottleneck.activation(bottleneck.down(x))))
    if keys["routing"] == "none":
        assert torch.equal(trace.update, trace.plain) and torch.equal(trace.after, trace.before)
    else:
        assert not torch.allclose(trace.update, trace.plain)
    after_up = keys.get("place") == "after_up"
    assert trace.before is trace.plain if after_up else torch.equal(trace.before, bottleneck.down(x))
    projection = nn.Identity() if after_up else bottleneck.image_down or bottleneck.down
    torch.testing.assert_close(trace.image, projection(visual).mean(dim=1))


def test_without_an_image_there_are_no_image_features() -> None:
    bottleneck, _, _ = bottleneck_and_image("bert", {"kind": "lora", "routing": "none"})
    assert bottleneck.trace(torch.randn(3, 5, 4)).image is None


@torch.no_grad()
def test_the_image_does_not_go_through_the_module_whose_output_is_traced() -> None:
    routed = attach(tiny("bert"), BottleneckConfig("lora", rank=4, routing="mul"))
    seen = []
    for bottleneck in routed.bottlenecks.values():
        assert bottleneck.text_projection is not None
        bottleneck.text_projection.register_forward_hook(lambda _m, _i, output: seen.append(output.shape))
    with routed.look_at(images(visual_tokens=2)):
        routed.model(**inputs("bert", length=6))

    assert seen == [(3, 6, 4)] * len(routed.bottlenecks)


def test_scales_have_nothing_to_trace() -> None:
    routed = attach(tiny("bert"), BottleneckConfig("ia3"))
    assert all(bottleneck.text_projection is None for bottleneck in routed.bottlenecks.values())
