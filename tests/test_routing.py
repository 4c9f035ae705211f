import numpy as np
import pytest
import torch

from vlrouting.config import ROUTINGS
from vlrouting.routing import register_routing

B, T, R = 2, 5, 6


def by_loops(name: str, x_t: np.ndarray, x_v: np.ndarray) -> np.ndarray:
    """The definitions of the paper, one number at a time, for one example: (T, R), (V, R) -> (T, R)."""
    tokens, rank = x_t.shape
    visual_tokens = x_v.shape[0]
    mean = [sum(x_v[n, j] for n in range(visual_tokens)) / visual_tokens for j in range(rank)]
    out = np.zeros((tokens, rank))
    for t in range(tokens):
        for j in range(rank):
            if name == "none":
                out[t, j] = x_t[t, j]
            elif name == "add":
                out[t, j] = x_t[t, j] + mean[j]
            elif name == "mul":
                out[t, j] = x_t[t, j] * mean[j]
            elif name == "expand":
                out[t, j] = sum(x_t[t, i] * mean[j] for i in range(rank))
            elif name in ("gram", "gram_relu"):
                relu = (lambda z: max(z, 0.0)) if name == "gram_relu" else (lambda z: z)
                for n in range(visual_tokens):
                    out[t, j] += sum(relu(x_t[t, i]) * relu(x_v[n, i]) for i in range(rank)) * x_v[n, j]
            elif name == "self":
                for s in range(tokens):
                    out[t, j] += sum(x_t[t, i] * x_t[s, i] for i in range(rank)) * mean[j]
    return out


@pytest.mark.parametrize("visual_tokens", [1, 3, 40])
@pytest.mark.parametrize("name", [name for name in ROUTINGS if not ROUTINGS.facts(name).has_parameters])
def test_equals_the_formula_in_float64(name: str, visual_tokens: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(B, T, R, dtype=torch.float64, generator=generator)
    x_v = torch.randn(B, visual_tokens, R, dtype=torch.float64, generator=generator)
    routed = ROUTINGS.load(name)(x_t, x_v)
    for b in range(B):
        np.testing.assert_allclose(routed[b].numpy(), by_loops(name, x_t[b].numpy(), x_v[b].numpy()), atol=1e-12)


def test_an_unknown_name_lists_the_known_ones_and_the_near_one() -> None:
    with pytest.raises(ValueError, match=r"unknown routing function 'mull'; known: none, add, mul.*Did you mean 'mul'"):
        ROUTINGS.load("mull")


def test_a_user_adds_a_function_and_cannot_replace_one_by_accident() -> None:
    @register_routing("test_difference")
    def difference(x_t: torch.Tensor, x_v: torch.Tensor) -> torch.Tensor:
        return x_t - x_v.mean(dim=1, keepdim=True)

    assert ROUTINGS.load("test_difference") is difference
    with pytest.raises(ValueError, match="'mul' is already registered"):
        register_routing("mul")(difference)
