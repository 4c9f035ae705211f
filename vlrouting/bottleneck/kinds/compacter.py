"""Compacter (arXiv 2106.04647) with a routing function between its two projections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.bottleneck.base import Site, shared
from vlrouting.bottleneck.kinds.adapter import Adapter
from vlrouting.config import CompacterConfig

RULE_STD = 0.01
"""Of the A_i at the start, as in the authors' code (`phm_init_range` in github.com/rabeehk/compacter)."""


class Rule(nn.Module):
    """The matrices A_i of one projection, or of all.

    Attributes:
        weight: (n, n, n), one A_i after the other.
    """

    def __init__(self, divisions: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(divisions, divisions, divisions))
        nn.init.normal_(self.weight, std=RULE_STD)


class HypercomplexLinear(nn.Module):
    """(Σ_i A_i ⊗ B_i) x + bias: parametrised hypercomplex multiplication (arXiv 2102.08597).

    With factors B_i = s_i t_i, which are thin, the sum is never built: x goes through t_i, A_i and s_i in turn.

    Attributes:
        rule: the A_i.
        left: the B_i, (n, outputs / n, inputs / n); or the s_i, (n, outputs / n, factor rank).
        right: the t_i, (n, factor rank, inputs / n); None without factors.
    """

    def __init__(self, rule: Rule, inputs: int, outputs: int, factor_rank: int | None) -> None:
        super().__init__()
        n = len(rule.weight)
        self.rule = rule
        self.left = nn.Parameter(torch.empty(n, outputs // n, factor_rank or inputs // n))
        self.right = None if factor_rank is None else nn.Parameter(torch.empty(n, factor_rank, inputs // n))
        self.bias = nn.Parameter(torch.zeros(outputs))
        for factor in (self.left, self.right):
            for matrix in () if factor is None else factor.data:
                nn.init.xavier_uniform_(matrix)  # `glorot-uniform` of the authors

    def reset_parameters(self, zero: bool) -> None:
        """Zero output, with what makes it zero trained."""
        assert zero
        nn.init.zeros_(self.left)

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        rule = self.rule.weight
        if self.right is None:
            blocks = torch.einsum("ipq,ior->poqr", rule, self.left)  # (n, outputs / n, n, inputs / n)
            return functional.linear(x, blocks.reshape(len(self.bias), -1), self.bias)
        parts = x.reshape(*x.shape[:-1], len(rule), -1)  # (…, n, inputs / n)
        thin = torch.einsum("...qk,irk->...iqr", parts, self.right)
        turned = torch.einsum("ipq,...iqr->...ipr", rule, thin)
        y = torch.einsum("...ipr,ior->...po", turned, self.left).flatten(-2)
        return y + self.bias.to(y.dtype)


class Compacter(Adapter):
    """An adapter, x + up(activation(route(down(x), down(v)))), whose down and up are `HypercomplexLinear`.

    With `shared_rule` there is one set of A_i for all of them, down and up alike, as in the authors' code. The B_i, or
    the s_i, of the up-projection start at zero, so that step 0 equals the frozen model; in the authors' code they start
    small.
    """

    config: CompacterConfig

    def make_down(self, site: Site, inputs: int, rows: int, bias: bool) -> nn.Module:
        """See `LowRankBottleneck`."""
        return self._make(site, inputs, rows)

    def make_up(self, site: Site, outputs: tuple[int, ...], bias: bool) -> nn.Module:
        """See `LowRankBottleneck`."""
        return self._make(site, self.config.rank, sum(outputs))

    def _make(self, site: Site, inputs: int, outputs: int) -> HypercomplexLinear:
        n = self.config.divisions
        for width in (inputs, outputs):
            if width % n:
                raise ValueError(f"{self.key}: divisions: {n} does not divide the width {width}; choose a divisor")
        if self.config.shared_rule:
            rule = shared(site.over_targets, f"rule of {site.task}", lambda: Rule(n))
        else:
            rule = Rule(n)
        return HypercomplexLinear(rule, inputs, outputs, self.config.factor_rank)
