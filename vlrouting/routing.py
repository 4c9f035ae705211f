"""Routing functions: how the image steers the text inside a bottleneck (arXiv 2403.09377, section 3.2).

Every function is pure, without parameters, and maps

    x_t (B, T, R) text, x_v (B, V, R) image  ->  (B, T, R)

where both came through the same down-projection. B batch, T text tokens, V visual tokens, R rank. An optional third
argument `mask` (B, V) is true for real visual tokens. Add your own:

    @register_routing("difference")
    def difference(x_t, x_v):
        return x_t - x_v.mean(dim=1, keepdim=True)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vlrouting.config import ROUTINGS, RoutingFacts

RoutingFunction = Callable[[Tensor, Tensor], Tensor]


def register_routing(
    name: str, *, causal: bool = True, after_up: bool = True
) -> Callable[[RoutingFunction], RoutingFunction]:
    """Decorator that makes `routing: name` available.

    Args:
        name: of the routing function.
        causal, after_up: what it can be combined with; see `vlrouting.config.RoutingFacts`.

    Raises:
        ValueError: the name is taken by another function.
    """

    def register(function: RoutingFunction) -> RoutingFunction:
        ROUTINGS.register(name, RoutingFacts(causal=causal, after_up=after_up), function)
        return function

    return register


def mean_over_visual_tokens(x_v: Tensor, mask: Tensor | None) -> Tensor:
    """x'_v of the paper, the mean over the real visual tokens: (B, V, R), (B, V) -> (B, 1, R)."""
    if mask is None:
        return x_v.mean(dim=1, keepdim=True)
    weight = mask.to(x_v.dtype).unsqueeze(-1)  # (B, V, 1)
    return (x_v * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp(min=1)


def _masked(x_v: Tensor, mask: Tensor | None) -> Tensor:
    """Zeros in place of visual tokens that are not real."""
    return x_v if mask is None else x_v * mask.to(x_v.dtype).unsqueeze(-1)


def _gram_product(x_t: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """x_t leftᵀ right for (B, T, R), (B, V, R), (B, V, R), multiplied in the cheaper order."""
    tokens, visual_tokens, rank = x_t.shape[1], left.shape[1], left.shape[2]
    through_visual = 2 * tokens * visual_tokens * rank
    through_rank = (tokens + visual_tokens) * rank * rank
    if through_visual <= through_rank:
        return (x_t @ left.transpose(1, 2)) @ right  # (B, T, V) then (B, T, R)
    return x_t @ (left.transpose(1, 2) @ right)  # (B, R, R) then (B, T, R)


def none(x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
    """x_t: plain LoRA or Adapter, the baseline. Never looks at `x_v`."""
    return x_t


def add(x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
    """x_t + x'_v."""
    return x_t + mean_over_visual_tokens(x_v, mask)


def mul(x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
    """x_t ∘ x'_v, element by element."""
    return x_t * mean_over_visual_tokens(x_v, mask)


def expand(x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
    """x_t X with R copies of x'_v as the rows of X, which is (Σ_j x_t[j]) x'_v: X is never built."""
    return x_t.sum(dim=-1, keepdim=True) * mean_over_visual_tokens(x_v, mask)


def gram(x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
    """x_t (x_vᵀ x_v): every pair of channels weighed by how they go together in the image."""
    return _gram_product(x_t, x_v, _masked(x_v, mask))


def gram_relu(x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
    """relu(x_t) relu(x_v)ᵀ x_v, an ablation of the authors."""
    return _gram_product(torch.relu(x_t), torch.relu(x_v), _masked(x_v, mask))


def self_product(x_t: Tensor, x_v: Tensor, mask: Tensor | None = None) -> Tensor:
    """x_t x_tᵀ x'_v with x'_v broadcast over T, a weak ablation of the authors.

    It sums over all tokens of the sequence, padding and later ones included, so it belongs in encoders: in a decoder a
    token would see its future, and cached generation would differ from uncached.
    """
    token_sum = x_t.sum(dim=1, keepdim=True)  # (B, 1, R)
    return (x_t * token_sum).sum(dim=-1, keepdim=True) * mean_over_visual_tokens(x_v, mask)
