"""AdaPEFT's parabolas: exact on a quadratic, equal to the stored values, and refused where they say nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.selection.adapeft.parabola import OFFSETS, fit
from vlrouting.selection.adapeft.probe import direction_of, losses_along, probe

EXPECTED: dict[str, Any] = dict(np.load(Path(__file__).parents[2] / "fixtures" / "seed_systems" / "adapeft.npz"))
GROUPS = {"head": ["3.weight", "3.bias"], "norm": ["1.weight", "1.bias"], "bias": ["0.bias"], "rest": ["0.weight"]}
DOUBLE = torch.finfo(torch.float64).eps


class Toy:
    """The MLP of the fixture."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        self.model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 4)).to(dtype)
        self.model.load_state_dict({k[2:]: torch.tensor(v) for k, v in EXPECTED.items() if k.startswith("p.")})
        self.x, self.y = torch.tensor(EXPECTED["x"], dtype=dtype), torch.tensor(EXPECTED["y"])

    def loss(self) -> Tensor:
        return functional.cross_entropy(self.model(self.x), self.y)

    def group(self, name: str) -> list[nn.Parameter]:
        return [self.model.get_parameter(each) for each in GROUPS[name]]

    def exact(self, parameters: Sequence[nn.Parameter], direction: Sequence[Tensor]) -> tuple[float, float]:
        """Gᵀg and gᵀHg by two passes of autograd."""
        gradients = torch.autograd.grad(self.loss(), parameters, create_graph=True)
        slope = sum((G * g).sum() for G, g in zip(gradients, direction, strict=True))
        products = torch.autograd.grad(slope, parameters)  # type: ignore[arg-type]
        curvature = sum((p * g).sum() for p, g in zip(products, direction, strict=True))
        return slope.item(), curvature.item()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", GROUPS)
def test_stored_values(name: str) -> None:
    """In float64, as they were computed: a difference of losses has few digits left in float32."""
    toy = Toy()
    assert float(toy.loss().detach()) == pytest.approx(float(EXPECTED["loss0"]), rel=1e-12)
    direction = [torch.tensor(EXPECTED[f"g.{each}"]) for each in GROUPS[name]]
    row = dict(zip(EXPECTED["cols"].tolist(), EXPECTED[f"sgd.{name}"].tolist(), strict=True))
    losses = losses_along(toy.loss, toy.group(name), direction, row["eta"])
    parabola = fit(float(EXPECTED["loss0"]), losses, row["eta"], DOUBLE)
    assert parabola.slope == pytest.approx(row["Gg_fit"], rel=1e-9)
    assert parabola.curvature == pytest.approx(row["gHg_fit"], rel=1e-6)
    assert parabola.gain == pytest.approx(row["gain_fit"], rel=1e-6)
    size = sum(parameter.numel() for parameter in toy.group(name))
    assert parabola.gain / size == pytest.approx(row["PPI_fit"], rel=1e-6)
    assert toy.exact(toy.group(name), direction) == pytest.approx((row["Gg"], row["gHg"]), rel=1e-9)
    assert (parabola.slope, parabola.curvature) == pytest.approx((row["Gg"], row["gHg"]), rel=4e-4)


@pytest.mark.parametrize("kind", ["gradient", "sign"])
@pytest.mark.parametrize(("dtype", "step", "tolerance"), [(torch.float64, 1e-3, 4e-4), (torch.float32, 3e-3, 0.03)])
def test_gains_are_those_of_autograd(kind: str, dtype: torch.dtype, step: float, tolerance: float) -> None:
    toy = Toy(dtype)
    found = probe(toy.loss, [toy.group(name) for name in GROUPS], kind, step)
    for name, parabola in zip(GROUPS, found, strict=True):
        raw = torch.autograd.grad(toy.loss(), toy.group(name))
        slope, curvature = toy.exact(toy.group(name), [g.sign() if kind == "sign" else g for g in raw])
        assert not parabola.reason, name
        assert parabola.gain == pytest.approx(slope**2 / (2 * curvature), rel=tolerance), name


def test_a_quadratic_gives_itself_and_its_gain_is_reached() -> None:
    generator = torch.Generator().manual_seed(0)
    root, start, lowest = (torch.randn(n, generator=generator, dtype=torch.float64) for n in ((5, 5), 5, 5))
    hessian = root @ root.T
    weight = nn.Parameter(start.clone())

    def loss() -> Tensor:
        away: Tensor = weight - lowest
        return 0.5 * away @ hessian @ away + 2

    (parabola,) = probe(loss, [[weight]], "gradient", 0.3)
    gradient = hessian @ (start - lowest)
    direction = gradient / gradient.pow(2).mean().sqrt()
    assert parabola.slope == pytest.approx(float(gradient @ direction), rel=1e-12)
    assert parabola.curvature == pytest.approx(float(direction @ hessian @ direction), rel=1e-12)
    assert parabola.r_squared == pytest.approx(1, abs=1e-12)
    assert torch.equal(weight, start)
    before = loss()
    with torch.no_grad():
        weight -= parabola.slope / parabola.curvature * direction
    assert float((before - loss()).detach()) == pytest.approx(parabola.gain, rel=1e-12)


@pytest.mark.parametrize(
    ("along", "reason"),
    [
        (lambda s: s**2 - s, ""),
        (lambda s: s**2 + s, "no slope"),
        (lambda s: -(s**2) - s, "no curvature"),
        (lambda s: -s, "no curvature"),
        (lambda s: 1e-9 * s**2 - s, "no curvature"),  # less than a rounding of the loss
        (lambda s: s**2 - 1e-9 * s, "no slope"),
        (lambda s: math.sin(5 * s), "no parabola"),
        (lambda s: 0.0, "no parabola"),
        (lambda s: math.nan, "no parabola"),
        (lambda s: math.inf * s**2, "no parabola"),
    ],
)
def test_what_is_accepted(along: Any, reason: str) -> None:
    parabola = fit(3.0, [3 + along(0.5 * offset) for offset in OFFSETS], 0.5, torch.finfo(torch.float32).eps)
    assert parabola.reason == reason
    assert parabola.gain == (0.25 if not reason else 0)


def test_the_fit_is_that_of_least_squares_through_the_shared_loss() -> None:
    steps = np.array([0.5 * offset for offset in OFFSETS])
    losses = 3 + np.sin(2 * steps) + steps**2
    (first, second), _, _, _ = np.linalg.lstsq(np.stack([steps, steps**2], axis=1), losses - 3, rcond=None)
    fitted = 3 + first * steps + second * steps**2
    parabola = fit(3.0, losses.tolist(), 0.5, DOUBLE)
    assert (parabola.slope, parabola.curvature) == pytest.approx((-first, 2 * second), rel=1e-12)
    explained = 1 - np.sum((losses - fitted) ** 2) / (5 * np.var([3.0, *losses]))
    assert parabola.r_squared == pytest.approx(explained, rel=1e-12) and 0.8 < explained < 0.999


def test_no_gain_is_larger_than_the_loss() -> None:
    losses = [3 + 1e-3 * s**2 - s for s in OFFSETS]
    assert fit(3.0, losses, 1, DOUBLE).gain == 3


def test_directions_have_the_same_length() -> None:
    gradients = [torch.tensor([0.0, -3e-5, 4e-5]), torch.tensor([0.0])]
    assert direction_of([torch.zeros(3)], "sign") is None
    assert torch.equal(torch.cat(direction_of(gradients, "sign") or []), torch.tensor([0.0, -1.0, 1.0, 0.0]))
    raw = torch.cat(direction_of(gradients, "gradient") or [])
    torch.testing.assert_close(raw, torch.tensor([0.0, -3.0, 4.0, 0.0]) * (2 / 25) ** 0.5)
