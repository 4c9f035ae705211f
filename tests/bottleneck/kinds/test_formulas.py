"""Every kind with two projections against its formula, written as loops in float64, with and without routing."""

from __future__ import annotations

import math
from collections.abc import Callable
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


def adapter(b: Any, base: nn.Module, family: str, routing: str) -> Any:
    weight, bias = numbers(weight_of(base)), numbers(base.bias)
    down, up = (numbers(b.down.weight), numbers(b.down.bias)), (numbers(b.up.weight), numbers(b.up.bias))

    def formula(x: list[float], image: list[list[float]]) -> list[float]:
        y = matvec(weight, x, bias)
        text, visual = matvec(down[0], y, down[1]), [matvec(down[0], v, down[1]) for v in image]
        active = [ACTIVATION[family](value) for value in route(routing, text, visual, b.attention)]
        return [a + c for a, c in zip(y, matvec(up[0], active, up[1]), strict=True)]

    return formula


KINDS: dict[str, tuple[dict[str, Any], Formula, dict[str, str]]] = {
    "lora": ({"alpha": 5}, lora, MODULES),
    "dora": ({"alpha": 5}, dora, MODULES),
    "adapter": ({}, adapter, AFTER),
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
    routed = attach(tiny(family), BottleneckConfig(kind, rank=RANK, routing=routing, **keys))
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
