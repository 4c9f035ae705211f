"""The training loop of both mini backbones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import get_cosine_schedule_with_warmup

from vlrouting.progress_bar import progress_bar

BatchT = TypeVar("BatchT")

_WARMUP = 0.05
_BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class Recipe:
    """Optimisation with AdamW: warm-up over the first twentieth of the steps, then a cosine schedule to 0."""

    steps: int
    batch_size: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    """Weight decay of matrices; biases, norms and other vectors have none."""
    seed: int = 0


def optimize(
    model: nn.Module,
    batches: Iterator[BatchT],
    loss_of: Callable[[BatchT, float], Tensor],
    recipe: Recipe,
    description: str,
) -> None:
    """Train all parameters of the model in place, and set it to eval mode.

    Args:
        model: the model.
        batches: at least `recipe.steps` batches.
        loss_of: batch, fraction of completed steps in [0, 1) -> scalar loss.
        recipe: optimisation settings.
        description: text before the progress bar.
    """
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=_BETAS, fused=True)
    schedule = get_cosine_schedule_with_warmup(optimizer, round(_WARMUP * recipe.steps), recipe.steps)
    model.train()
    with progress_bar(description, recipe.steps, "steps") as advance:
        for step in range(recipe.steps):
            loss = loss_of(next(batches), step / recipe.steps)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            advance(1)
    model.eval()
