"""Context-PEFT: each token goes through the weights of its modality, in training, recomputed, and while text is
generated."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from tests.bottleneck.kinds.by_hand import grouped, matvec, numbers, route
from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, Target, attach, load
from vlrouting.bottleneck.context import IMAGE, TEXT

FIXTURE = Path(__file__).parents[2] / "fixtures" / "seed_systems" / "context_peft.npz"
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"kind": "context_lora", "rank": 3, "bias": True},
    "routed": {"kind": "context_lora", "rank": 3, "contexts": {"image": {"rank": 2}, "text": {"routing": "mul"}}},
    "ia3": {"kind": "context_ia3"},
    "bitfit": {"kind": "context_bitfit"},
}
FAMILIES = ("bert", "gpt2", "bart", "t5", "llama")
ALL = pytest.mark.parametrize(("kind", "family"), [(kind, family) for kind in KINDS for family in FAMILIES])
FEW = pytest.mark.parametrize(("kind", "family"), [(kind, family) for kind in KINDS for family in ("gpt2", "bart")])
CODES = torch.tensor([[IMAGE, IMAGE, TEXT, TEXT, TEXT, TEXT]]).repeat(3, 1)
"""Of `inputs`."""
C_ATTN = "transformer.h.1.attn.c_attn"


def attached(kind: str, family: str, **more: Any) -> Routed:
    torch.manual_seed(3)
    return attach(tiny(family), BottleneckConfig(**{**KINDS[kind], **more}), unfreeze=())


@torch.no_grad()
def moved(routed: Routed, seed: int = 4) -> Routed:
    torch.manual_seed(seed)
    for bottleneck in routed.bottlenecks.values():
        for parameter in bottleneck.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return routed


def run(routed: Routed, family: str, codes: Tensor = CODES, seed: int = 2) -> Tensor:
    with routed.look_at(images(seed=seed), modality=codes):
        outputs: Tensor = routed.model(**inputs(family))[0]
    return outputs


class OneLayer(nn.Module):
    """The frozen layer of the fixture in a block."""

    def __init__(self, stored: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 10)])
        self.layers[0].load_state_dict({"weight": tensor(stored["base_w"]), "bias": tensor(stored["base_b"])})

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers[0](x)
        return y


def tensor(stored: Any) -> Tensor:
    return torch.from_numpy(stored)


def of_released_module(config: BottleneckConfig, weights: dict[str, Tensor]) -> Tensor:
    stored = np.load(FIXTURE)
    routed = attach(OneLayer(stored), replace(config, targets=["layers.0"]), unfreeze=(), visual_width=12)
    (bottleneck,) = routed.bottlenecks.values()
    bottleneck.load_state_dict(weights)
    codes = tensor(stored["img_mask"])[..., 0].long() * (IMAGE - TEXT) + TEXT
    with torch.no_grad(), routed.look_at(None, modality=codes):
        output: Tensor = routed.model(tensor(stored["x"]))
    return output


def test_the_released_lora_with_scales_and_biases_of_its_contexts() -> None:
    stored = np.load(FIXTURE)
    contexts = {"image": {"rank": 4}, "text": {"rank": 2, "scaling": "rank_stabilized"}}
    config: Any = BottleneckConfig("context_lora", alpha=8, bias=True, contexts=contexts)
    assert [config.scale_of(context) for context in config.named_contexts.values()] == [*stored["lora_scaling"]]
    weights = {
        "down.weight": torch.cat([tensor(stored[f"lora_A.{name}"]) for name in contexts]),
        "up.weight": torch.cat([tensor(stored[f"lora_B.{name}"]) for name in contexts], dim=1),
        "bias": torch.stack([tensor(stored[f"lora_bias.{name}"]) for name in contexts]),
    }
    found = of_released_module(config, weights)
    torch.testing.assert_close(found, tensor(stored["lora_out"]), atol=1e-6, rtol=0)


def test_the_released_ia3_on_outputs() -> None:
    stored = np.load(FIXTURE)
    scale = torch.stack([tensor(stored[f"ia3_proj.{name}"]) for name in ("image", "text")])
    found = of_released_module(BottleneckConfig("context_ia3"), {"scale": scale})
    torch.testing.assert_close(found, tensor(stored["ia3_out_proj"]), atol=1e-6, rtol=0)


@ALL
@torch.no_grad()
def test_step_zero_is_the_frozen_model(kind: str, family: str) -> None:
    frozen = tiny(family)(**inputs(family))[0]
    routed = attached(kind, family)
    assert torch.equal(run(routed, family), frozen)
    assert not torch.allclose(run(moved(routed), family), frozen, atol=1e-3)
    assert torch.equal(routed.detach()(**inputs(family))[0], frozen)


@pytest.mark.parametrize("routing", ["none", "add", "mul", "gram", "self", "cross_attention"])
@pytest.mark.parametrize("shared_down", [True, False])
def test_lora_is_its_formula_with_routing_in_the_text_alone(routing: str, shared_down: bool) -> None:
    """Token by token, on the queries and values of a fused projection; both contexts have ranks and scales."""
    contexts = {"image": {"rank": 2, "alpha": 3}, "text": {"routing": routing}}
    routed = attached("lora", "gpt2", contexts=contexts, alpha=5.0, shared_down=shared_down)
    b: Any = moved(routed).bottlenecks[C_ATTN]
    base: Any = routed.model.get_submodule(C_ATTN)
    weight, bias, biases = numbers(base.weight.T), numbers(base.bias), numbers(b.bias)
    down, up, ranks = numbers(b.down.weight), numbers(b.up.weight), {"image": (0, 2), "text": (2, 5)}
    attention = b.attention.attention["text"] if routing == "cross_attention" else None
    x, visual = torch.randn(3, 6, WIDTH, generator=torch.Generator().manual_seed(9)), images()

    def of(context: str, vectors: Any, side: str) -> Any:
        """The rows, or columns, of a context, group after group."""
        first, last = ranks[context]
        if side == "up":
            return [row[first:last] for row in vectors]
        return [row for group in (0, 1) for row in vectors[group * 5 + first : group * 5 + last]]

    image_down = of("text", down, "down") if shared_down else (numbers(b.image_down.weight) if b.image_down else [])
    with torch.no_grad(), routed.look_at(visual, modality=CODES):
        found = base(x)
    for row in range(3):
        projected = [matvec(image_down, v) for v in numbers(visual[row])] if routing != "none" else []
        texts = [matvec(of("text", down, "down"), token) for token in numbers(x[row, 2:])]
        for place, token in enumerate(numbers(x[row])):
            context, scale = ("image", 3 / 2) if place < 2 else ("text", 5 / 3)
            z = matvec(of(context, down, "down"), token)
            if context == "text" and routing == "self":  # sums over the text's tokens, not over the image's
                total = sum(a * c for a, c in zip(z, map(sum, zip(*texts, strict=True)), strict=True))
                z = [total * sum(column) / len(projected) for column in zip(*projected, strict=True)]
            elif context == "text":
                z = route(routing, z, projected, attention)
            y = matvec(weight, token, bias)
            added = grouped(of(context, up, "up"), z, b.up.outputs)
            for n, column in enumerate([*range(WIDTH), *range(2 * WIDTH, 3 * WIDTH)]):
                y[column] += scale * added[n] + biases[context == "text"][n]
            torch.testing.assert_close(found[row, place], torch.tensor(y), atol=1e-4, rtol=1e-4)
    rows = 2 * 3 * WIDTH if not shared_down and routing != "none" else 0
    assert sum(p.numel() for n, p in b.named_parameters() if n.startswith("image_down")) == rows


@pytest.mark.parametrize("routing", ["none", "mul", "cross_attention"])
@pytest.mark.parametrize("family", ["gpt2", "bert", "bart"])
def test_the_context_all_alone_is_the_method_without_contexts(family: str, routing: str) -> None:
    alone = {"image": None, "text": None, "all": {}}
    keys = {"rank": 4, "alpha": 6.0, "routing": routing}
    torch.manual_seed(3)
    plain = moved(attach(tiny(family), BottleneckConfig("lora", **keys), unfreeze=()))  # type: ignore[arg-type]
    routed = attached("lora", family, contexts=alone, bias=False, **keys)
    for key, bottleneck in routed.bottlenecks.items():
        weights = plain.bottlenecks[key].state_dict()
        inside = {f"attention.attention.all.{name.removeprefix('attention.')}": name for name in weights}
        bottleneck.load_state_dict({n if "attention" in o else o: weights[o] for n, o in inside.items()})
    assert routed.trainable_parameters == plain.trainable_parameters
    torch.testing.assert_close(run(routed, family), run(plain, family), atol=1e-6, rtol=1e-5)
    if routing == "none":
        ia3 = moved(attach(tiny(family), BottleneckConfig("ia3"), unfreeze=()))
        ours = attached("ia3", family, contexts=alone)
        for key, bottleneck in ours.bottlenecks.items():
            bottleneck.load_state_dict({"scale": ia3.bottlenecks[key].scale.unsqueeze(0) - 1})
        with ours.look_at(None):  # where all tokens are alike, no modality is needed
            torch.testing.assert_close(ours.model(**inputs(family))[0], run(ia3, family), atol=1e-5, rtol=1e-5)


def test_contexts_add_up_and_scales_multiply() -> None:
    """image, text and all at once, on a fused projection of which only keys and values are adapted."""
    three = {"image": {}, "text": {}, "all": {}}
    x = torch.randn(3, 6, WIDTH, generator=torch.Generator().manual_seed(9))
    bias, gate = (moved(attached(kind, "gpt2", contexts=three, targets=["key", "value"])) for kind in ("bitfit", "ia3"))
    base = tiny("gpt2").get_submodule(C_ATTN)(x)
    query, rest = base[..., :WIDTH], base[..., WIDTH:]
    is_image = (CODES == IMAGE).unsqueeze(-1)
    b, scale = bias.bottlenecks[C_ATTN].bias, gate.bottlenecks[C_ATTN].scale
    added = rest + b[2] + torch.where(is_image, b[0], b[1])
    scaled = rest * (1 + scale[2]) * (1 + torch.where(is_image, scale[0], scale[1]))
    for routed, expected in ((bias, added), (gate, scaled)):
        with routed.look_at(None, modality=CODES):
            found = routed.model.get_submodule(C_ATTN)(x)
        torch.testing.assert_close(found, torch.cat([query, expected], dim=-1))


def of_contexts(name: str, gradient: Tensor, image_rank: int) -> tuple[Tensor, Tensor]:
    """The parts of a gradient that belong to the image's and to the text's weights; the text has rank 3."""
    if name == "down.weight":
        gradient = gradient.unflatten(0, (-1, image_rank + 3)).transpose(0, 1)
    if name == "up.weight":
        gradient = gradient.T
    size = image_rank if name.endswith(".weight") else 1
    return gradient[:size], gradient[size:]


@ALL
def test_the_weights_of_a_context_have_gradients_from_its_tokens_alone(kind: str, family: str) -> None:
    """And zeros rather than none without such tokens, as DDP needs it. A decoder beside an encoder has text alone."""
    routed = moved(attached(kind, family))
    run(routed, family, torch.full_like(CODES, TEXT)).pow(2).mean().backward()
    image_rank = 2 if kind == "routed" else 3
    met = set()
    for key, bottleneck in routed.bottlenecks.items():
        met.add(bottleneck.contexts.names)  # type: ignore[union-attr]
        for name, parameter in bottleneck.named_parameters():
            assert parameter.grad is not None, (key, name)
            if bottleneck.stream == "decoder":
                assert bottleneck.contexts.names == ("text",) and parameter.grad.any(), (key, name)  # type: ignore[union-attr]
                continue
            image, text = of_contexts(name, parameter.grad, image_rank)
            assert not image.any() and text.any(), (key, name)
    assert met == {("image", "text"), *([("text",)] if family in ("bart", "t5") else [])}


def test_what_only_the_image_routes_by_is_not_made_where_only_text_is_read() -> None:
    keys = {"routing": "cross_attention", "shared_down": False, "contexts": {"text": {"routing": "none"}}}
    for key, bottleneck in attached("lora", "bart", **keys).bottlenecks.items():
        parts = {name.partition(".")[0] for name, _ in bottleneck.named_parameters()}
        alone = {"down", "up", "bias"}
        assert parts == (alone if bottleneck.stream == "decoder" else alone | {"attention", "image_down"}), key


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reentrant", [False, True])
@FEW
def test_a_recomputed_block_has_the_modality_of_its_own_forward(kind: str, family: str, reentrant: bool) -> None:
    """Two passes of different modality before the backward pass, which runs after `look_at`."""

    def gradients(checkpointing: bool) -> list[Tensor]:
        routed = moved(attached(kind, family))
        if checkpointing:
            options = {"use_reentrant": reentrant}
            routed.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)  # type: ignore[operator]
            for module in routed.model.modules():
                module.training = getattr(module, "gradient_checkpointing", False)
                if isinstance(getattr(module, "dropout", None), float):
                    module.dropout = 0.0
        (run(routed, family) - 0.5 * run(routed, family, CODES.flip(1), seed=5)).pow(2).mean().backward()
        return [p.grad for b in routed.bottlenecks.values() for p in b.parameters() if p.grad is not None]

    plain, recomputed = gradients(False), gradients(True)
    assert len(plain) == len(recomputed) > 0
    for one, other in zip(plain, recomputed, strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-4)


@FEW
@torch.no_grad()
def test_saved_loaded_and_copied(kind: str, family: str, tmp_path: Path) -> None:
    routed = moved(attached(kind, family))
    expected = run(routed, family)
    routed.save(tmp_path)
    again = load(tmp_path, tiny(family))
    assert again.configs == routed.configs
    assert torch.equal(run(again, family), expected)
    twin = copy.deepcopy(routed)
    assert torch.equal(run(twin, family), expected)
    assert not torch.allclose(run(moved(twin, seed=5), family), expected, atol=1e-3)
    assert torch.equal(run(routed, family), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_trained_tokens_before_the_sequence_are_text(kind: str) -> None:
    """With a prompt of zero embeddings the other tokens keep their codes."""
    configs = {"prompt": BottleneckConfig("prompt", tokens=2), "contexts": BottleneckConfig(**KINDS[kind])}
    routed = moved(attach(tiny("gpt2"), configs, unfreeze=()))
    seen: list[Tensor] = []
    bottleneck: Any = routed.bottlenecks[f"contexts:{C_ATTN}"]
    bottleneck.contexts._is_image = lambda x: (
        seen.append(type(bottleneck.contexts)._is_image(bottleneck.contexts, x)) or seen[-1]
    )
    run(routed, "gpt2")
    assert seen[0].tolist() == [[False, False, True, True, False, False, False, False]] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused(kind: str) -> None:
    routed = moved(attached(kind, "gpt2"))
    with pytest.raises(ValueError, match="may change image tokens and text tokens differently"):
        routed.merge()
    with pytest.raises(RuntimeError, match="modality, which is not known"):
        routed.model(**inputs("gpt2"))
    with pytest.raises(RuntimeError, match="look_at"), routed.look_at(images()):
        routed.model(**inputs("gpt2"))
    with pytest.raises(ValueError, match="needs an input"), routed.look_at(images(), modality=CODES):
        routed.model.get_submodule(C_ATTN)(torch.zeros(6, WIDTH))
    with pytest.raises(ValueError, match="outside of the blocks"):
        attach(tiny("gpt2"), BottleneckConfig(**{**KINDS[kind], "targets": ["lm_head"]}))
    with pytest.raises(ValueError, match="all tokens of a vision tower are the image's"):
        attach(tiny("bert"), BottleneckConfig(**{**KINDS[kind], "tower": "vision", "contexts": {}}))
    with pytest.raises(ValueError, match="no context is left"):
        attach(tiny("bert"), BottleneckConfig(**{**KINDS[kind], "contexts": {"image": None, "text": None}}))
    with pytest.raises(ValueError, match="Did you mean 'image'"):
        BottleneckConfig(**{**KINDS[kind], "contexts": {"imag": {}}})
    only_image = BottleneckConfig(**{**KINDS[kind], "contexts": {"text": None}})
    assert not any(
        ".decoder.layers" in key and "encoder_attn" not in key for key in attach(tiny("bart"), only_image).bottlenecks
    )
    with pytest.raises(ValueError, match="only text is read"):
        attach(tiny("bart"), replace(only_image, targets=["decoder*self_attn.q_proj"]))
    with pytest.raises(ValueError, match="for which contexts has no weights"):
        name = "model.decoder.layers.0.self_attn.q_proj"
        attach(tiny("bart"), only_image, places={"bottleneck": [Target(name, (name,))]})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"kind": "context_ia3", "contexts": {"text": {"rank": 3}}},
            "contexts.text.rank: belongs to kind: context_lora",
        ),
        ({"kind": "context_bitfit", "contexts": {"text": {"routing": "mul"}}}, "contexts.text.routing: belongs to"),
        ({"kind": "context_bitfit", "routing": "mul"}, "routing: kind: context_bitfit cannot route"),
        (
            {"kind": "context_lora", "place": "after_up", "routing": "mul"},
            "place: the contexts share one up-projection",
        ),
        ({"kind": "context_lora", "contexts": {"text": {"scaling": "rank_stabilized"}}}, "contexts.text.scaling"),
        ({"kind": "context_lora", "contexts": {"text": {"rank": 0}}}, "contexts.text.rank: 0 is below 1"),
        (
            {
                "kind": "context_lora",
                "routing": "mul",
                "contexts": {"image": {"routing": "none"}, "text": {"routing": "add"}},
            },
            "routing: has no effect, because every context has a routing of its own",
        ),
    ],
)
def test_keys_that_do_not_go_together(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        attach(tiny("bert"), BottleneckConfig(**keys))


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_torch_compile_breaks_no_graph_at_the_choice_of_weights() -> None:
    """One graph for the image and one for the model, as with LoRA, whatever the modality is."""
    routed = moved(attached("routed", "bert"))
    torch.compiler.reset()
    counter = CompileCounter()
    compiled: Any = torch.compile(routed.model, backend=counter)
    for seed, codes in enumerate((CODES, CODES.flip(1), CODES)):
        with routed.look_at(images(seed=seed), modality=codes):
            torch.testing.assert_close(compiled(**inputs("bert"))[0], routed.model(**inputs("bert"))[0])
    if hasattr(torch._dynamo.source, "ContextVarGetSource"):  # older versions break the graph at every bottleneck
        assert counter.frame_count == 2
