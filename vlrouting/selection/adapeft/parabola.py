"""The parabola through the losses along a direction, and the gain that it promises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

OFFSETS = (-2, -1, 1, 2)
"""Steps against the direction at which a probe takes the loss, beside the shared one at 0."""
R_SQUARED = 0.99
"""Least share of the losses' variance that a parabola explains, as GeN has it (arXiv 2407.02772)."""
ROUNDING = 16
"""Units in the last place of a loss that are taken for rounding."""


@dataclass(frozen=True)
class Parabola:
    """L(w - s·g) ≈ L(w) - s·slope + s²·curvature / 2.

    Attributes:
        slope: Gᵀg, of the gradient G and the direction g.
        curvature: gᵀHg, with the Hessian H.
        base: L(w).
        r_squared: share of the five losses' variance that it explains; NaN where they do not differ.
        reason: why it is not accepted; empty where it is.
    """

    slope: float
    curvature: float
    base: float
    r_squared: float
    reason: str

    @property
    def gain(self) -> float:
        """(Gᵀg)² / (2 gᵀHg), the drop of the loss at the vertex; 0 where the parabola is not accepted.

        It is at most the loss itself, which is not negative: an almost straight line would promise any gain.
        """
        return 0.0 if self.reason else min(self.base, self.slope**2 / (2 * self.curvature))


def fit(base: float, losses: Sequence[float], step: float, precision: float) -> Parabola:
    """The least-squares parabola through (0, `base`), which therefore has two unknowns.

    One condition is ours: without it, the rounding of the losses along a straight line is taken for a curvature, whose
    gain is enormous.

    Args:
        base: L(w).
        losses: L(w - offset·step·g) for each of `OFFSETS`.
        step: what a step is of g.
        precision: relative spacing of the numbers that the losses were computed in.
    """
    change = [loss - base for loss in losses]
    positions = [offset * step for offset in OFFSETS]
    # The offsets are symmetrical: the two unknowns do not depend on each other.
    first = sum(s * c for s, c in zip(positions, change, strict=True)) / sum(s**2 for s in positions)
    second = sum(s**2 * c for s, c in zip(positions, change, strict=True)) / sum(s**4 for s in positions)
    residual = sum((c - first * s - second * s**2) ** 2 for s, c in zip(positions, change, strict=True))
    mean = sum(change) / 5
    total = mean**2 + sum((c - mean) ** 2 for c in change)
    r_squared = 1 - residual / total if total else math.nan
    farthest = OFFSETS[-1] * step
    visible = ROUNDING * precision * abs(base)
    reason = _reason(-first * farthest, second * farthest**2, visible, r_squared)
    return Parabola(-first, 2 * second, base, r_squared, reason)


def _reason(fall: float, rise: float, visible: float, r_squared: float) -> str:
    """Why a parabola is not accepted.

    Args:
        fall: what the slope takes from the loss in the longest step.
        rise: what the curvature adds to it there.
        visible: what is more than rounding.
        r_squared: see `Parabola`.
    """
    if not r_squared > R_SQUARED:
        return "no parabola"
    if not rise > visible:
        return "no curvature"
    return "" if fall > visible else "no slope"
