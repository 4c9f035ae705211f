"""The optimizers and learning-rate schedules, for every task."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch.nn import Parameter
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from vlrouting.config import TrainConfig


def warmup_steps(config: TrainConfig, total_steps: int) -> int:
    """Steps of warm-up, given as a number or as a share of all steps."""
    if config.warmup_steps is not None:
        return config.warmup_steps
    return math.ceil(config.warmup_fraction * total_steps)


def learning_rate_factor(config: TrainConfig, total_steps: int, step: int) -> float:
    """The learning rate of a step as a share of `config.lr`.

    `linear`, `cosine` and `constant` rise in a straight line over the warm-up; then `linear` falls in a straight line
    to 0 at the end and `cosine` along half a wave, as transformers' schedules of these names do. `one_cycle` rises and
    falls along cosines (arXiv 1708.07120), from and to a tiny share.
    """
    warmup = warmup_steps(config, total_steps)
    if config.schedule == "one_cycle":
        low = 0.04 if step < warmup else 1e-4
        progress = step / warmup if step < warmup else (step - warmup) / max(1, total_steps - warmup)
        wave = (1 + math.cos(math.pi * min(1.0, progress))) / 2  # 1 -> 0
        return low + (1 - low) * (1 - wave if step < warmup else wave)
    if step < warmup:
        return step / warmup
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total_steps - warmup)))) / 2
    return max(0.0, (total_steps - step) / max(1, total_steps - warmup))


def make_optimizer(
    parameters: Iterable[Parameter], config: TrainConfig, total_steps: int
) -> tuple[Optimizer, LambdaLR]:
    """The optimizer over the trainable parameters, and its schedule, stepped once per optimizer step."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer: Optimizer
    if config.optimizer == "sgd":
        optimizer = SGD(trained, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    else:
        optimizer = AdamW(
            trained, lr=config.lr, betas=(0.9, config.beta2), eps=config.eps, weight_decay=config.weight_decay
        )
    return optimizer, LambdaLR(optimizer, lambda step: learning_rate_factor(config, total_steps, step))
