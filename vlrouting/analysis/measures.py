"""Two numbers about feature matrices: effective rank and linear CKA."""

from __future__ import annotations

import torch
from torch import Tensor

_RESOLUTION = 1e-6
"""Of float32 features: what varies less, relative to its size, is constant."""


def effective_rank(gram: Tensor) -> float | None:
    """exp of the entropy of the normalised singular values of X (N, R) (Roy & Vetterli, "The effective rank: a measure
    of effective dimensionality", EUSIPCO 2007).

    It is 1 where all rows are multiples of one vector and min(N, R) where all singular values are equal. The scale of X
    does not matter. X is not centred, as in the paper.

    Args:
        gram: Xᵀ X (R, R), whose eigenvalues are the squared singular values; float64.

    Returns:
        None where X is zero.
    """
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()  # rounding may leave a tiny negative eigenvalue
    total = singular.sum()
    return float(torch.special.entr(singular / total).sum().exp()) if total > 0 else None


def linear_cka(x: Tensor, y: Tensor) -> float | None:
    """Linear centered kernel alignment, ‖Yᵀ X‖² / (‖Xᵀ X‖ ‖Yᵀ Y‖) with centred columns and Frobenius norms (Kornblith
    et al., "Similarity of Neural Network Representations Revisited", ICML 2019, arXiv 1905.00414).

    It is between 0 and 1, and the same after rotations and changes of scale of either side. Of independent features it
    is about sqrt(R₁ R₂) / N where they vary equally in all directions, not 0.

    Args:
        x: (N, R₁) features of N examples.
        y: (N, R₂) other features of the same examples.

    Returns:
        None where one of them is the same for all examples.
    """
    centred = []
    for features in (x.double(), y.double()):
        difference = features - features.mean(dim=0)
        if difference.norm() <= _RESOLUTION * features.norm():
            return None
        centred.append(difference)
    x, y = centred
    return float((y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))
