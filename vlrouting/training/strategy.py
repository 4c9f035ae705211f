"""How the processes of a point work together: Lightning's strategies, fitted to a model that is mostly frozen."""

from __future__ import annotations

import math
from typing import Any

from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import nn

from vlrouting.config import TrainConfig
from vlrouting.training.process_rank import Place

BUCKETS = 3
"""Gradients are sent in about so many parts while the backward pass goes on. DDP's own 25 MB would hold all of them."""
MEBIBYTE = 2**20


def make_strategy(train: TrainConfig, place: Place, model: nn.Module) -> Strategy | str:
    """What the Trainer takes as its strategy; `auto` for a single process.

    Args:
        train: devices, nodes and strategy of the point.
        place: where this process stands.
        model: what trains, still on the CPU.
    """
    if place.world_size == 1:
        return "auto"
    options: dict[str, Any] = {
        "gradient_as_bucket_view": True,
        "bucket_cap_mb": bucket_size(model),
        # Every step does the same, so DDP may learn it once, recomputed blocks included; but not across steps in which
        # it does not send (accumulation).
        "static_graph": train.accumulate == 1,
    }
    if train.strategy == "fsdp":
        from vlrouting.training.sharded import ShardedFrozenStrategy

        return ShardedFrozenStrategy(**options)
    return DDPStrategy(**options)


def bucket_size(model: nn.Module) -> int:
    """MiB of a gradient bucket, at least 1."""
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return max(1, math.ceil(trained / BUCKETS / MEBIBYTE))


def cluster_environment(place: Place) -> ClusterEnvironment:
    """Where Lightning reads rank and addresses. Saving and requeueing on a signal is this project's own affair: it
    stops all ranks after the same step."""
    return SLURMEnvironment(auto_requeue=False) if place.slurm else LightningEnvironment()
