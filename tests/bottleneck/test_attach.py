import copy

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach
from vlrouting.config import ROUTINGS as REGISTERED
from vlrouting.config.kinds.adapter import POSITIONS

FAMILIES = ("bert", "roberta", "gpt2", "bart", "t5", "llama", "qwen2", "qwen3")
ROUTINGS = REGISTERED.names()
RANK = 4
CONFIGS = {
    **{f"lora-{routing}": BottleneckConfig("lora", rank=RANK, routing=routing) for routing in ROUTINGS},
    **{f"adapter-{p}": BottleneckConfig("adapter", rank=RANK, routing="mul", position=p) for p in POSITIONS},
    "adapter-shared": BottleneckConfig("adapter", rank=RANK, routing="gram", shared=True),
    **{f"{kind}-mul": BottleneckConfig(kind, rank=RANK, routing="mul") for kind in ("dora", "vera", "compacter")},
    "compacter-parallel": BottleneckConfig("compacter", rank=RANK, routing="gram", position="parallel"),
    "vl_pet-middleY": BottleneckConfig("vl_pet", rank=RANK, routing="mul", granularity="middleY"),
    "lora-own-down": BottleneckConfig("lora", rank=RANK, routing="mul", shared_down=False),
    "lora-after-up": BottleneckConfig("lora", rank=RANK, routing="mul", place="after_up", targets=["query"]),
}

# Every configuration on one model with separate and one with fused projections; the other families with a few.
MATRIX = [(family, case) for family in ("bert", "gpt2") for case in CONFIGS]
FEW = ("lora-mul", "adapter-post_module", "adapter-pre_norm", "dora-mul", "vl_pet-middleY")
MATRIX += [(family, case) for family in FAMILIES if family not in ("bert", "gpt2") for case in FEW]


def run(model: nn.Module, family: str, routed: Routed | None = None, visual: Tensor | None = None) -> Tensor:
    if routed is None:
        return model(**inputs(family))[0]
    with routed.look_at(images() if visual is None else visual):
        return model(**inputs(family))[0]


def one_step(model: nn.Module, routed: Routed, family: str) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    run(model, family, routed).pow(2).sum().backward()
    optimizer.step()


@torch.no_grad()
def outputs(model: nn.Module, family: str, routed: Routed | None = None) -> Tensor:
    return run(model, family, routed)  # without gradients, so that frozen and trained weights take the same kernels


@pytest.mark.parametrize(("family", "case"), MATRIX)
def test_step_0_equals_the_frozen_model_and_detach_restores_it(family: str, case: str) -> None:
    model = tiny(family)
    before, names = outputs(model, family), list(model.state_dict())
    routed = attach(model, CONFIGS[case])
    assert torch.equal(outputs(model, family, routed), before)
    one_step(model, routed, family)
    assert not torch.allclose(outputs(model, family, routed), before)
    routed.detach()
    assert torch.equal(outputs(model, family), before)
    assert list(model.state_dict()) == names
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("family", "case"), MATRIX)
def test_one_step_moves_every_up_and_no_frozen_tensor(family: str, case: str) -> None:
    model = tiny(family)
    routed = attach(model, CONFIGS[case])
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    ups = {name: [p.detach().clone() for p in b.up.parameters()] for name, b in routed.bottlenecks.items()}
    one_step(model, routed, family)
    for name, bottleneck in routed.bottlenecks.items():
        moved = [not torch.equal(own, up) for own, up in zip(bottleneck.up.parameters(), ups[name], strict=True)]
        assert any(moved), f"{name}.up did not move"
    for name, parameter in model.named_parameters():
        assert name not in frozen or torch.equal(parameter, frozen[name]), f"{name} is frozen and moved"


def test_without_residual_up_keeps_a_linears_initialisation() -> None:
    routed = attach(tiny("bert"), BottleneckConfig("adapter", rank=RANK, routing="mul", residual=False))
    assert all(b.up.weight.abs().max() > 0 for b in routed.bottlenecks.values())
    assert all(b.up.weight.abs().max() <= RANK**-0.5 for b in routed.bottlenecks.values())


R, D = RANK, WIDTH
NORMS = 2 * 2 * 2 * D  # layers, norms per layer, weight and bias
COUNTS = [
    ("bert", BottleneckConfig("lora", rank=R, routing="mul"), 2 * 2 * 2 * R * D + NORMS),
    ("bert", BottleneckConfig("lora", rank=R), 2 * 2 * 2 * R * D + NORMS),
    ("bert", BottleneckConfig("lora", rank=R, layers=[1]), 2 * 2 * R * D + NORMS // 2),
    ("bert", BottleneckConfig("adapter", rank=R, routing="mul"), 2 * 2 * (2 * R * D + R + D) + NORMS),
    ("gpt2", BottleneckConfig("adapter", rank=R, routing="add", shared=True), 2 * (2 * R * D + R + D) + NORMS),
    (
        "gpt2",
        BottleneckConfig("adapter", rank=R, position="parallel", shared=True),
        2 * (2 * R * D + R + D) + NORMS,
    ),
    ("gpt2", BottleneckConfig("lora", rank=R, routing="add"), 2 * (2 * R * D + 2 * R * D) + NORMS),
    ("bert", BottleneckConfig("lora", rank=R, routing="cross_attention"), 2 * 2 * (2 * R * D + 4 * R * R) + NORMS),
    ("bert", BottleneckConfig("lora", rank=R, routing="mul", shared_down=False), 2 * 2 * 3 * R * D + NORMS),
    ("llama", BottleneckConfig("lora", rank=R, routing="mul"), 2 * 2 * 2 * R * D + NORMS // 2),  # RMSNorm has no bias
    ("bert", BottleneckConfig("dora", rank=R), 2 * 2 * (2 * R * D + D) + NORMS),
    ("gpt2", BottleneckConfig("vera", rank=R, routing="add"), 2 * (2 * R + 2 * D) + NORMS),
    ("bert", BottleneckConfig("compacter", rank=R), 2 * 2 * (2 * (R + D) + R + D) + 4**3 + NORMS),
    (
        "bert",
        BottleneckConfig("compacter", rank=R, divisions=2, factor_rank=None, shared_rule=False),
        2 * 2 * (2 * (R * D // 2 + 2**3) + R + D) + NORMS,
    ),
    ("bert", BottleneckConfig("vl_pet", rank=R, gate_rank=3), 2 * 2 * (2 * R * D + R + D + 2 * 3 * D + 3 + D) + NORMS),
    ("bert", BottleneckConfig("vl_pet", rank=R, granularity="middleX"), 2 * 2 * (2 * R * D + R + 2 * D + 1) + NORMS),
    ("bert", BottleneckConfig("vl_pet", rank=R, granularity="middleY"), 2 * 2 * (2 * R * D + R + 2 * D) + NORMS),
    ("bert", BottleneckConfig("vl_pet", rank=R, granularity="small"), 2 * 2 * (2 * R * D + R + 3 * D + 1) + NORMS),
]


@pytest.mark.parametrize(("family", "config", "count"), COUNTS)
def test_trained_parameters_by_the_closed_formula(family: str, config: BottleneckConfig, count: int) -> None:
    assert attach(tiny(family), config).trainable_parameters == count


def test_bottlenecks_are_named_after_their_modules_in_model_order() -> None:
    routed = attach(tiny("bert"), BottleneckConfig("lora", rank=R, targets=["value", "query"]))
    places = [f"encoder.layer.{n}.attention.self.{role}" for n in (0, 1) for role in ("query", "value")]
    assert list(routed.bottlenecks) == places
    first = routed.bottlenecks[places[0]]
    assert first.down.weight.shape == (R, D)
    assert first.up.weight.shape == (D, R)
    shared = attach(tiny("gpt2"), BottleneckConfig("adapter", rank=R, shared=True))
    assert list(shared.bottlenecks) == ["transformer.h.0", "transformer.h.1"]


def test_a_fused_projection_forms_one_bottleneck_in_column_order() -> None:
    routed = attach(tiny("gpt2"), BottleneckConfig("lora", rank=R, routing="mul", targets=["value", "query"]))
    lora = routed.bottlenecks["transformer.h.0.attn.c_attn"]
    assert lora.down.weight.shape == (2 * R, D)
    assert lora.columns.tolist() == [*range(D), *range(2 * D, 3 * D)]


def test_patterns_reach_a_model_without_a_family() -> None:
    model = tiny("llama")
    model.config.model_type = "unheard-of"
    with pytest.raises(ValueError, match=r"no family table for model type 'unheard-of'.*give targets as patterns"):
        attach(model, BottleneckConfig("lora", rank=R))
    routed = attach(model, BottleneckConfig("lora", rank=R, routing="mul", targets=["*.v_proj", "self_attn.o_proj"]))
    assert [name.rsplit(".", 1)[-1] for name in routed.bottlenecks] == ["v_proj", "o_proj"] * 2
    adapters = attach(tiny("bert"), BottleneckConfig("adapter", rank=R, targets=["attention.output.dense"]))
    assert len(adapters.bottlenecks) == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BottleneckConfig("lora", rank=R, targets=["self.qeury"]), r"'self.qeury' matches no.*near names: self.query"),
        (BottleneckConfig("lora", rank=R, layers=[1, 7]), r"no block \[7\]; its blocks are 0 to 1"),
        (BottleneckConfig("lora", rank=R, targets=["LayerNorm"]), r"expected a Linear or Conv1D module, not Lay"),
        (BottleneckConfig("lora", rank=R, routing="mul", targets=["down"]), r"takes 48 features and the image has 24"),
        (BottleneckConfig("lora", rank=R, routing="mul", targets=["up"], place="after_up"), r"as wide as the visual"),
        (BottleneckConfig("lora", rank=0), r"rank: 0 is below 1"),
        (BottleneckConfig("lora", rank=R, routing="mull"), r"'mull' is not one of none, add, mul"),
        (BottleneckConfig("adapter", rank=R, targets=["encoder.layer.0"]), r"an adapter goes onto a Linear"),
        (BottleneckConfig("lora", rank=R, scaling="rank_stabilized"), r"scaling, alpha: .*; set alpha"),
        (BottleneckConfig("compacter", rank=R, divisions=3), r"divisions, rank: 3 does not divide the rank 4"),
        (BottleneckConfig("compacter", rank=10, divisions=5), r"divisions: 5 does not divide the width 24"),
        (BottleneckConfig("vl_pet", rank=R, granularity="small", gate_rank=2), r"belongs to granularity: large"),
    ],
)
def test_one_clear_error_and_the_model_is_as_before(config: BottleneckConfig, message: str) -> None:
    model = tiny("bert")
    names = list(model.state_dict())
    with pytest.raises(ValueError, match=message):
        attach(model, config)
    assert list(model.state_dict()) == names
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_routed_model_without_context_names_the_module() -> None:
    model = tiny("bert")
    routed = attach(model, BottleneckConfig("lora", rank=R, routing="mul"))
    with pytest.raises(RuntimeError, match=r"encoder\.layer\.0\.attention\.self\.query.*look_at"):
        run(model, "bert")
    run(model, "bert", routed)
    with pytest.raises(RuntimeError, match="look_at"):  # the context ends with its block
        run(model, "bert")


def test_wrong_visual_shapes() -> None:
    model = tiny("bert")
    routed = attach(model, BottleneckConfig("lora", rank=R, routing="mul"))
    with pytest.raises(ValueError, match=r"attention\.self\.query: 3 rows of text but 2 images"):
        run(model, "bert", routed, images(batch=2))
    for visual in (torch.zeros(3, WIDTH), torch.zeros(3, 1, WIDTH + 1)):
        with pytest.raises(ValueError, match=r"look_at takes visual features \(B, V, 24\), not"):
            run(model, "bert", routed, visual)


def test_a_second_attach_is_refused() -> None:
    model = tiny("bert")
    attach(model, BottleneckConfig("lora", rank=R))
    with pytest.raises(ValueError, match="has bottlenecks already"):
        attach(model, BottleneckConfig("lora", rank=R))


def test_a_deep_copy_uses_its_own_bottlenecks() -> None:
    routed = attach(tiny("bert"), BottleneckConfig("lora", rank=R, routing="mul"))
    twin = copy.deepcopy(routed)
    before = run(routed.model, "bert", routed)
    for bottleneck in twin.bottlenecks.values():
        nn.init.normal_(bottleneck.up.weight)
    assert torch.equal(run(routed.model, "bert", routed), before)
    assert not torch.allclose(run(twin.model, "bert", twin), before)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["lora", "dora", "vera"])
def test_merging_keeps_the_outputs(kind: str, family: str) -> None:
    model = tiny(family)
    routed = attach(model, BottleneckConfig(kind, rank=R))
    one_step(model, routed, family)
    before = run(model, family)
    names = list(tiny(family).state_dict())
    assert list(routed.merge().state_dict()) == names
    torch.testing.assert_close(run(model, family), before, atol=1e-5, rtol=1e-5)


def test_merging_what_depends_on_the_image_raises() -> None:
    with pytest.raises(ValueError, match=r"query: routing 'mul' depends on the image and cannot be merged"):
        attach(tiny("bert"), BottleneckConfig("lora", rank=R, routing="mul")).merge()
    with pytest.raises(ValueError, match="kind 'adapter' cannot be merged"):
        attach(tiny("bert"), BottleneckConfig("adapter", rank=R)).merge()
