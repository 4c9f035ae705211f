import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from vlrouting.config import TrainConfig
from vlrouting.tasks.optimization import learning_rate_factor, make_optimizer


def rates(config: TrainConfig, steps: int) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer, schedule = make_optimizer([parameter], config, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


TRANSFORMERS = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}


@pytest.mark.parametrize("warmup", [0, 5])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_linear_and_cosine_are_transformers_schedules(name: str, warmup: int) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    schedule = TRANSFORMERS[name](optimizer, warmup, 20)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    config = TrainConfig(max_steps=20, lr=0.1, schedule=name, warmup_steps=warmup)
    assert rates(config, 20) == pytest.approx(expected)


def test_one_cycle_is_torchs_schedule_up_to_its_last_step() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=101, pct_start=10 / 101)
    expected = []
    for _ in range(100):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    config = TrainConfig(max_steps=100, lr=0.1, schedule="one_cycle", warmup_fraction=0.09)
    # torch counts the peak as step pct_start * total - 1.
    assert rates(config, 100) == pytest.approx(expected, abs=2e-5)


def test_constant_after_warmup() -> None:
    config = TrainConfig(max_steps=10, lr=1.0, schedule="constant", warmup_fraction=0.25)
    assert rates(config, 10) == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1])


def test_every_schedule_ends_low_and_never_leaves_its_range() -> None:
    for schedule in ("linear", "cosine", "one_cycle"):
        config = TrainConfig(max_steps=50, schedule=schedule, warmup_fraction=0.1)
        factors = [learning_rate_factor(config, 50, step) for step in range(51)]
        assert max(factors) == pytest.approx(1.0)
        assert min(factors) >= 0 and factors[-1] <= 1e-3


def test_only_what_trains_is_optimised() -> None:
    frozen, trained = torch.nn.Parameter(torch.zeros(2), requires_grad=False), torch.nn.Parameter(torch.zeros(3))
    optimizer, _ = make_optimizer([frozen, trained], TrainConfig(max_steps=1), 1)
    assert [p.shape for group in optimizer.param_groups for p in group["params"]] == [(3,)]


def one_step(config: TrainConfig, start: float, gradient: float) -> float:
    parameter = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer, _ = make_optimizer([parameter], config, 10)
    parameter.grad = torch.tensor([gradient], dtype=torch.float64)
    optimizer.step()
    return float(parameter.detach())


@pytest.mark.parametrize(("weight_decay", "eps"), [(0.0, 1e-6), (0.25, 1e-6), (0.0, 2.0), (0.25, 2.0)])
def test_a_step_is_adamws_formula_with_its_weight_decay_and_epsilon(weight_decay: float, eps: float) -> None:
    """x - lr · wd · x - lr · g / (|g| + eps): after one step both of Adam's averages, corrected, are those of g."""
    config = TrainConfig(max_steps=10, lr=0.1, schedule="constant", weight_decay=weight_decay, eps=eps)
    expected = 3.0 - 0.1 * weight_decay * 3.0 - 0.1 * 0.5 / (0.5 + eps)
    assert one_step(config, 3.0, 0.5) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_adds_weight_decay_to_the_gradient_and_keeps_momentum(momentum: float) -> None:
    """v = m v + g + wd x; x - lr v."""
    config = TrainConfig(
        max_steps=10, lr=0.1, schedule="constant", optimizer="sgd", momentum=momentum, weight_decay=0.25
    )
    parameter = torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    optimizer, _ = make_optimizer([parameter], config, 10)
    expected, velocity = 3.0, 0.0
    for gradient in (0.5, -2.0, 1.0):
        velocity = momentum * velocity + gradient + 0.25 * expected
        expected -= 0.1 * velocity
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    assert float(parameter.detach()) == pytest.approx(expected, abs=1e-12)
