"""Effective rank and CKA of matrices whose values are known."""

import math

import pytest
import torch

from vlrouting.analysis.measures import effective_rank, linear_cka


def gram(x: torch.Tensor) -> torch.Tensor:
    return x.double().T @ x.double()


def random(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def test_the_effective_rank_of_known_matrices() -> None:
    assert effective_rank(gram(torch.eye(6))) == pytest.approx(6)
    assert effective_rank(gram(torch.outer(torch.arange(1.0, 5.0), torch.ones(7)))) == pytest.approx(1, abs=1e-5)
    # Singular values 3 and 1, shares 3/4 and 1/4.
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert effective_rank(gram(torch.diag(torch.tensor([3.0, 1.0, 0.0])))) == pytest.approx(expected)
    assert effective_rank(torch.zeros(4, 4, dtype=torch.float64)) is None


def test_the_effective_rank_is_that_of_the_singular_values_of_the_matrix_at_any_scale() -> None:
    x = random(50, 8) @ torch.diag(torch.arange(1.0, 9.0))
    shares = torch.linalg.svdvals(x.double())
    shares = shares / shares.sum()
    expected = float((-shares * shares.log()).sum().exp())

    assert effective_rank(gram(x)) == pytest.approx(expected, rel=1e-9)
    assert effective_rank(gram(1000 * x)) == pytest.approx(expected, rel=1e-6)


def test_cka_is_one_with_itself_rotated_scaled_and_shifted() -> None:
    x = random(40, 6)
    rotation = torch.linalg.qr(random(6, 6, seed=1)).Q

    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(x, -3 * x @ rotation + 5) == pytest.approx(1, abs=1e-6)


def test_cka_is_the_same_from_both_sides_and_after_rotations() -> None:
    x, y = random(40, 6), random(40, 3, seed=1) + random(40, 6)[:, :3]
    found = linear_cka(x, y)

    assert found is not None and 0.05 < found < 0.95
    assert linear_cka(y, x) == pytest.approx(found)
    assert linear_cka(x @ torch.linalg.qr(random(6, 6, seed=2)).Q, 7 * y) == pytest.approx(found, abs=1e-6)


def test_cka_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # XᵀX = diag(2, 2), norm sqrt(8)
    y = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])  # YᵀY = 4; YᵀX = (2, 2), squared norm 8

    assert linear_cka(x, y) == pytest.approx(8 / (math.sqrt(8) * 4))


def test_cka_of_what_is_the_same_for_all_examples_does_not_exist() -> None:
    assert linear_cka(random(20, 4), torch.full((20, 3), 0.1)) is None


def test_cka_of_independent_features_is_not_zero_but_as_documented() -> None:
    assert linear_cka(random(500, 32), random(500, 32, seed=1)) == pytest.approx(32 / 500, rel=0.1)
