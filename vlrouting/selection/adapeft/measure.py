"""The probes of a selection, during a short training run of all groups; weights are afterwards what they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vlrouting.config.selectors.adapeft import AdapeftConfig
from vlrouting.progress_bar import progress_bar, say
from vlrouting.selection import SelectionProblem
from vlrouting.selection.adapeft.groups import Group
from vlrouting.selection.adapeft.parabola import Parabola
from vlrouting.selection.adapeft.probe import Loss, probe


def measure(problem: SelectionProblem, groups: Sequence[Group], config: AdapeftConfig) -> list[list[Parabola]]:
    """Of each group the parabolas of all probes, during a short training run of all groups."""
    steps = config.warm_up + (config.probes - 1) * config.every
    passes = 4 * len(groups) + 1
    say(
        f"select.method: adapeft measures {len(groups)} groups of {sum(group.size for group in groups):,} parameters: "
        f"{config.probes} probes of {passes} forward passes (4 per group, and 1), {config.probes} backward passes for "
        f"their directions, and {steps} training steps"
    )
    batches = list(problem.batches)
    found: list[list[Parabola]] = [[] for _ in groups]
    with _training(problem.model, groups) as parameters, progress_bar("probes", config.probes, "probes") as advance:
        optimizer = torch.optim.Adam(parameters, config.lr)
        done = 0
        for number in range(config.probes):
            for _ in range(config.every if number else config.warm_up):
                optimizer.zero_grad()
                _fixed(problem.loss, batches[done % len(batches)])().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                done += 1
            loss = _fixed(problem.loss, batches[number % len(batches)])
            measured = probe(loss, [group.parameters for group in groups], config.direction, config.step_size)
            for parabolas, parabola in zip(found, measured, strict=True):
                parabolas.append(parabola)
            advance(1)
    return found


def _fixed(loss: Callable[[Any], Tensor], batch: Any) -> Loss:
    """The loss of a batch with the same random numbers in every call."""
    seed = int(torch.randint(2**31, ()))

    def fixed() -> Tensor:
        torch.manual_seed(seed)
        return loss(batch)

    return fixed


@contextmanager
def _training(model: nn.Module, groups: Sequence[Group]) -> Iterator[list[nn.Parameter]]:
    """Everything that may train does so inside the block; afterwards all values are those of before. `Routed.detach`
    freezes again what was frozen."""
    for group in groups:
        for parameter in group.parameters:
            parameter.requires_grad_(True)
    trained = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]
    try:
        yield trained
    finally:
        with torch.no_grad():
            for parameter, value in zip(trained, before, strict=True):
                parameter.copy_(value)
                parameter.grad = None
