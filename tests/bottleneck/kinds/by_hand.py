"""The formulas of bottlenecks in Python loops over numbers, token by token: what the kinds are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

Vector = list[float]
Matrix = list[Vector]


def numbers(tensor: Tensor) -> Any:
    """Nested lists."""
    return tensor.detach().tolist()


def matvec(matrix: Matrix, x: Vector, bias: Sequence[float] | None = None) -> Vector:
    """matrix x + bias."""
    y = [sum(weight * value for weight, value in zip(row, x, strict=True)) for row in matrix]
    return y if bias is None else [a + b for a, b in zip(y, bias, strict=True)]


def grouped(matrix: Matrix, x: Vector, outputs: Sequence[int], bias: Sequence[float] | None = None) -> Vector:
    """Group g of x through the rows of group g."""
    rank, y, row = len(x) // len(outputs), [], 0
    for group, width in enumerate(outputs):
        y += matvec(matrix[row : row + width], x[group * rank : (group + 1) * rank])
        row += width
    return y if bias is None else [a + b for a, b in zip(y, bias, strict=True)]


def route(name: str, text: Vector, image: Matrix, attention: Any = None) -> Vector:
    """One text token and all visual tokens, at the bottleneck's width."""
    mean = [sum(column) / len(image) for column in zip(*image, strict=True)]
    if name == "none":
        return text
    if name == "add":
        return [t + v for t, v in zip(text, mean, strict=True)]
    if name == "mul":
        return [t * v for t, v in zip(text, mean, strict=True)]
    if name == "gram":
        width = range(len(text))
        return [sum(text[i] * sum(token[i] * token[j] for token in image) for i in width) for j in width]
    assert name == "cross_attention"
    query, key, value, out = (numbers(getattr(attention, each).weight) for each in ("query", "key", "value", "out"))
    q = matvec(query, text)
    scores = [sum(a * b for a, b in zip(q, matvec(key, token), strict=True)) / math.sqrt(len(q)) for token in image]
    weights = [math.exp(score - max(scores)) for score in scores]
    values = [matvec(value, token) for token in image]
    attended = [
        sum(w * v[i] for w, v in zip(weights, values, strict=True)) / sum(weights) for i in range(len(values[0]))
    ]
    return [t + a for t, a in zip(text, matvec(out, attended), strict=True)]


def gelu(x: float) -> float:
    """BERT's."""
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def gelu_new(x: float) -> float:
    """GPT-2's."""
    return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def every_token(x: Tensor, visual: Tensor, function: Callable[[Vector, Matrix], Vector]) -> Tensor:
    """(B, T, D), (B, V, D) -> (B, T, D'): the function of each text token and its image."""
    rows = [[function(token, numbers(image)) for token in numbers(row)] for row, image in zip(x, visual, strict=True)]
    return x.new_tensor(rows)
