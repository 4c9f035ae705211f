"""Each of these options changes what a run computes, in the direction that it promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.inputs import SharedInputs

Make = Callable[..., Experiment]
CPU = torch.device("cpu")


def norms_of_gradients(make: Make, run: Callable[..., RunDirectory], clip: float | None) -> list[float]:
    """What AdamW gets, step by step."""
    found: list[float] = []
    step = torch.optim.AdamW.step

    def noted(self: torch.optim.AdamW, closure: Callable[[], object]) -> object:
        def with_note() -> object:
            loss = closure()  # the backward pass, and Lightning's clipping
            gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
            found.append(float(torch.nn.utils.get_total_norm(gradients)))
            return loss

        return step(self, with_note)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", noted)
        run(make(train={"max_steps": 3, "validate_every_steps": 3, "clip_norm": clip}), f"clip-{clip}")
    return found


def test_gradients_are_clipped_to_clip_norm(experiment: Make, run: Callable[..., RunDirectory]) -> None:
    free = norms_of_gradients(experiment, run, None)
    bound = min(free) / 2
    clipped = norms_of_gradients(experiment, run, bound)
    assert len(free) == 3 and clipped == pytest.approx([bound] * 3, rel=1e-3)


def initialised(make: Make, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(torch.seed() % 1000)  # whatever was drawn before must not matter
    built = build_point(make(f"seed={seed}", vision={"image_size": 48}).points[0].config, SharedInputs(CPU))
    return {name: p.detach() for name, p in built.task.model.named_parameters() if p.requires_grad}


def test_the_seed_decides_the_initialisation_and_nothing_else_does(experiment: Make) -> None:
    one, again, other = (initialised(experiment, seed) for seed in (3, 3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    differ = {name for name in one if not torch.equal(one[name], other[name])}
    assert {name.rpartition(".bottleneck.")[2] for name in differ if "bottleneck" in name} == {"down.weight"}
    assert {"head.0.weight", "projector.weight"} <= differ


def loss_on_rank(built: Built, rank: int, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(TaskModule, "global_rank", property(lambda self: rank))
    batch = next(iter(built.data.first_batches(1)))
    return float(built.task.training_step(batch, 0).detach())


def test_ranks_draw_dropout_of_their_own(experiment: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build_point(experiment(bottleneck={"dropout": 0.5}).points[0].config, SharedInputs(CPU))
    for bottleneck in built.task.model.routed.bottlenecks.values():
        torch.nn.init.normal_(bottleneck.up.weight)
    losses = [loss_on_rank(built, rank, monkeypatch) for rank in (0, 1, 0, 1)]
    assert losses[:2] == losses[2:] and losses[0] != losses[1]
