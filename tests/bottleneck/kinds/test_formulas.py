"""Every kind with two projections against its formula, written as loops in float64, with and without routing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.bottleneck.kinds.by_hand import every_token, gelu, gelu_new, grouped, matvec, numbers, route
from tests.tiny_models import WIDTH, tiny
from vlrouting.bottleneck import Bottleneck, BottleneckConfig, attach

ROUTINGS = ("none", "mul", "gram", "cross_attention")
RANK = 3
MODULES = {"bert": "encoder.layer.1.attention.self.value", "gpt2": "transformer.h.1.attn.c_attn"}
"""A Linear, and a fused Conv1D of which queries and values are adapted."""
AFTER = {"bert": "encoder.layer.1.output.dense", "gpt2": "transformer.h.1.mlp.c_proj"}
"""The last module of an MLP."""
ACTIVATION = {"bert": gelu, "gpt2": gelu_new}
Formula = Callable[[Any, nn.Module, str, str], Callable[[list[float], list[list[float]]], list[float]]]


def weight_of(base: nn.Module) -> Tensor:
    weight: Tensor = base.weight  # type: ignore[assignment]
    return weight if isinstance(base, nn.Linear) else weight.T


def adapted_columns(family: str) -> list[int]:
    return [*range(WIDTH)] if family == "bert" else [*range(WIDTH), *range(2 * WIDTH, 3 * WIDTH)]


def lora_update(b: Any, routing: str) -> Callable[[list[float], list[list[float]]], list[float]]:
    down, up, outputs = numbers(b.down.weight), numbers(b.up.weight), b.up.outputs

    def update(x: list[float], image: list[list[float]]) -> list[float]:
        routed = route(routing, matvec(down, x), [matvec(down, v) for v in image], b.attention)
        return [5 / RANK * y for y in grouped(up, routed, outputs)]

    return update


def lora(b: Any, base: nn.Module, family: str, routing: str) -> Any:
    weight, bias, columns, update = numbers(weight_of(base)), numbers(base.bias), adapted_columns(family), lora_update

    def formula(x: list[float], image: list[list[float]]) -> list[float]:
        y = matvec(weight, x, bias)
        for column, added in zip(columns, update(b, routing)(x, image), strict=True):
            y[column] += added
        return y

    return formula


def dora(b: Any, base: nn.Module, family: str, routing: str) -> Any:
    weight, bias, columns = numbers(weight_of(base)), numbers(base.bias), adapted_columns(family)
    down, up, magnitude = numbers(b.down.weight), numbers(b.up.weight), numbers(b.magnitude)

    def formula(x: list[float], image: list[list[float]]) -> list[float]:
        y, update = matvec(weight, x, bias), lora_update(b, routing)(x, image)
        for n, column in enumerate(columns):
            group = n // WIDTH
            direction = [
                w + 5 / RANK * sum(up[n][r] * down[group * RANK + r][i] for r in range(RANK))
                for i, w in enumerate(weight[column])
            ]
            gain = magnitude[n] / math.sqrt(sum(value * value for value in direction))
            y[column] = gain * (y[column] - bias[column] + update[n]) + bias[column]
        return y

    return formula


def vera(b: Any, base: nn.Module, family: str, routing: str) -> Any:
    weight, bias, columns = numbers(weight_of(base)), numbers(base.bias), adapted_columns(family)
    a, d, frozen, scale = (
        numbers(each) for each in (b.down.frozen.weight, b.down.scale, b.up.frozen.weight, b.up.scale)
    )

    def down(x: list[float]) -> list[float]:
        return [s * y for s, y in zip(d, matvec(a, x), strict=True)]

    def formula(x: list[float], image: list[list[float]]) -> list[float]:
        y = matvec(weight, x, bias)
        routed = route(routing, down(x), [down(v) for v in image], b.attention)
        update = grouped(frozen, routed, b.up.outputs)
        for n, column in enumerate(columns):
            y[column] += scale[n] * update[n]
        return y

    return formula


def adapter(b: Any, base: nn.Module, family: str, routing: str) -> Any:
    weight, bias = numbers(weight_of(base)), numbers(base.bias)
    down, up = (numbers(b.down.weight), numbers(b.down.bias)), (numbers(b.up.weight), numbers(b.up.bias))

    def formula(x: list[float], image: list[list[float]]) -> list[float]:
        y = matvec(weight, x, bias)
        text, visual = matvec(down[0], y, down[1]), [matvec(down[0], v, down[1]) for v in image]
        active = [ACTIVATION[family](value) for value in route(routing, text, visual, b.attention)]
        return [a + c for a, c in zip(y, matvec(up[0], active, up[1]), strict=True)]

    return formula


def hypercomplex(layer: Any) -> list[list[float]]:
    """Σ_i A_i ⊗ B_i by its definition."""
    rule, left = numbers(layer.rule.weight), numbers(layer.left)
    n = len(rule)
    if layer.right is None:
        blocks = left
    else:
        right = numbers(layer.right)
        blocks = [
            [[sum(s[r] * t[r][k] for r in range(len(t))) for k in range(len(t[0]))] for s in left[i]]
            for i, t in enumerate(right)
        ]
    height, width = len(blocks[0]), len(blocks[0][0])
    return [
        [sum(rule[i][p][q] * blocks[i][o][k] for i in range(n)) for q in range(n) for k in range(width)]
        for p in range(n)
        for o in range(height)
    ]


def compacter(b: Any, base: nn.Module, family: str, routing: str) -> Any:
    weight, bias = numbers(weight_of(base)), numbers(base.bias)
    down, up = (hypercomplex(b.down), numbers(b.down.bias)), (hypercomplex(b.up), numbers(b.up.bias))

    def formula(x: list[float], image: list[list[float]]) -> list[float]:
        y = matvec(weight, x, bias)
        text, visual = matvec(down[0], y, down[1]), [matvec(down[0], v, down[1]) for v in image]
        active = [ACTIVATION[family](value) for value in route(routing, text, visual, b.attention)]
        return [a + c for a, c in zip(y, matvec(up[0], active, up[1]), strict=True)]

    return formula


KINDS: dict[str, tuple[dict[str, Any], Formula, dict[str, str]]] = {
    "lora": ({"alpha": 5}, lora, MODULES),
    "dora": ({"alpha": 5}, dora, MODULES),
    "vera": ({"projection_seed": 5}, vera, MODULES),
    "adapter": ({}, adapter, AFTER),
    "compacter": ({"divisions": 3, "factor_rank": 2}, compacter, AFTER),
    "compacter-whole": ({"divisions": 3, "factor_rank": None, "shared_rule": False}, compacter, AFTER),
}


def randomised(bottleneck: Bottleneck, seed: int = 3) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in bottleneck.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.4)


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_formula(kind: str, family: str, routing: str) -> None:
    keys, formula, modules = KINDS[kind]
    routed = attach(tiny(family), BottleneckConfig(kind.partition("-")[0], rank=RANK, routing=routing, **keys))
    routed.model.double()
    base, bottleneck = routed.model.get_submodule(modules[family]), routed.bottlenecks[modules[family]]
    randomised(bottleneck)
    with torch.no_grad():
        base.bias.normal_()  # type: ignore[operator, union-attr]
    inputs, _ = weight_of(base).shape[::-1]
    x, visual = torch.randn(2, 3, inputs).double(), torch.randn(2, 2, WIDTH).double()
    with torch.no_grad(), routed.look_at(visual):
        found = base(x)
    expected = every_token(x, visual, formula(bottleneck, base, family, routing))
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def gates(b: Any, xs: list[list[float]], ys: list[list[float]]) -> list[list[float]]:
    """The gate of every token of one example: a number per channel."""
    width, granularity = len(ys[0]), b.config.granularity
    if granularity == "middleY":
        return [[1 + g for g in numbers(b.channels)] for _ in ys]
    if granularity == "large":
        first, _, second = b.gate
        inner = [[gelu_new(z) for z in matvec(numbers(first.weight), x, numbers(first.bias))] for x in xs]
        return [[sigmoid(z) for z in matvec(numbers(second.weight), h, numbers(second.bias))] for h in inner]
    weight, bias = numbers(b.gate.weight), numbers(b.gate.bias)
    if granularity == "middleX":
        sums = [[a + c for a, c in zip(x, y, strict=True)] for x, y in zip(xs, ys, strict=True)]
        return [[sigmoid(matvec(weight, s, bias)[0])] * width for s in sums]
    per_token = [sigmoid(matvec(weight, x + y, bias)[0]) for x, y in zip(xs, ys, strict=True)]
    return [[sum(per_token) / len(per_token)] * width for _ in ys]


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("granularity", ["large", "middleX", "middleY", "small"])
@pytest.mark.parametrize(
    ("first", "last"), [("intermediate.dense", "output.dense"), ("attention.self.query", "attention.output.dense")]
)
def test_vl_pets_formula(first: str, last: str, granularity: str, routing: str) -> None:
    routed = attach(tiny("bert"), BottleneckConfig("vl_pet", rank=RANK, routing=routing, granularity=granularity))
    routed.model.double()
    b = routed.bottlenecks[f"encoder.layer.1.{last}"]
    randomised(b)
    entry, base = (routed.model.get_submodule(f"encoder.layer.1.{name}") for name in (first, last))
    x, visual = torch.randn(2, 3, WIDTH).double(), torch.randn(2, 2, WIDTH).double()
    inner = torch.randn(2, 3, base.in_features).double()
    with torch.no_grad(), routed.look_at(visual):
        entry(x)
        found = base(inner)
    weight, bias = numbers(base.weight), numbers(base.bias)
    down, up = (numbers(b.down.weight), numbers(b.down.bias)), (numbers(b.up.weight), numbers(b.up.bias))
    for row in range(2):
        image = [matvec(down[0], v, down[1]) for v in numbers(visual[row])]
        ys = []
        for token in numbers(inner[row]):
            h = matvec(weight, token, bias)
            routed_text = route(routing, matvec(down[0], h, down[1]), image, b.attention)
            update = matvec(up[0], [gelu_new(z) for z in routed_text], up[1])
            ys.append([a + c for a, c in zip(h, update, strict=True)])
        gate = gates(b, numbers(x[row]), ys)
        expected = [[a * c for a, c in zip(g, y, strict=True)] for g, y in zip(gate, ys, strict=True)]
        torch.testing.assert_close(found[row], found.new_tensor(expected), atol=1e-10, rtol=1e-10)


def test_vl_pets_small_gate_leaves_padding_out_and_stays_out_of_decoders() -> None:
    config = BottleneckConfig("vl_pet", rank=RANK, granularity="small")
    routed = attach(tiny("bert"), config)
    for bottleneck in routed.bottlenecks.values():
        randomised(bottleneck)
    ids, mask = torch.arange(3, 9).view(1, 6), torch.tensor([[1, 1, 1, 1, 0, 0]])
    with torch.no_grad():
        with routed.look_at(None, modality=mask):
            padded = routed.model(input_ids=ids, attention_mask=mask)[0][:, :4]
        alone = routed.model(input_ids=ids[:, :4])[0]
    torch.testing.assert_close(padded, alone)
    for family in ("gpt2", "bart", "t5"):
        with pytest.raises(
            ValueError, match=r"granularity: small takes a mean over all tokens.*targets in the encoder"
        ):
            attach(tiny(family), config)
    two_widths = replace(config, granularity="middleX", targets=["intermediate.dense"])
    with pytest.raises(ValueError, match=r"middleX adds what is read \(24 features\) to what is given \(48\)"):
        attach(tiny("bert"), two_widths)
    encoder = replace(config, targets=["encoder.layers.*.out_proj", "encoder.layers.*.fc2"])
    assert len(attach(tiny("bart"), encoder).bottlenecks) == 4
