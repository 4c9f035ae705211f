"""How the processes of a point work together: Lightning's strategies, fitted to a model that is mostly frozen."""

from __future__ import annotations

import math
from typing import Any

from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import nn

from vlrouting.bottleneck import Bottleneck
from vlrouting.config import TrainConfig
from vlrouting.training.process_rank import ProcessRank

BUCKETS = 3
"""Number of parts in which gradients are sent during the backward pass. DDP's default, 25 MB, would make it one."""
MEBIBYTE = 2**20


def make_strategy(train: TrainConfig, rank: ProcessRank, model: nn.Module) -> Strategy | str:
    """What the Trainer takes as its strategy; `auto` for a single process.

    Args:
        train: devices, nodes and strategy of the point.
        rank: of this process.
        model: with its trainable parameters, still on the CPU.
    """
    if rank.world_size == 1:
        return "auto"
    per_task = has_bottlenecks_per_task(model)
    options: dict[str, Any] = {
        "gradient_as_bucket_view": True,
        "bucket_cap_mb": bucket_size(model),
        # Every step has the same graph, with activation checkpointing too; but not with gradient accumulation, where
        # DDP sends gradients only in some backward passes, and not where a step trains the bottlenecks of one task.
        "static_graph": train.accumulate == 1 and not per_task,
        "find_unused_parameters": per_task,
    }
    if train.strategy == "fsdp":
        from vlrouting.training.sharded import ShardedFrozenStrategy

        return ShardedFrozenStrategy(**options)
    return DDPStrategy(**options)


def has_bottlenecks_per_task(model: nn.Module) -> bool:
    """Whether a step leaves bottlenecks without a gradient: those of the other tasks."""
    tasks = {module.task for module in model.modules() if isinstance(module, Bottleneck)}
    return len(tasks - {None}) > 1


def bucket_size(model: nn.Module) -> int:
    """MiB of a gradient bucket, at least 1."""
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return max(1, math.ceil(trained / BUCKETS / MEBIBYTE))


def cluster_environment(rank: ProcessRank) -> ClusterEnvironment:
    """Where Lightning reads rank and addresses. Its automatic requeueing is off: here all ranks stop after the same
    step, and the job script requeues."""
    return SLURMEnvironment(auto_requeue=False) if rank.slurm else LightningEnvironment()
