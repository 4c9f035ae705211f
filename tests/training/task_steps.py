"""Steps of several tasks, with a bottleneck for each, in one process or in two. Imports no Lightning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tests.tiny_models import images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach

TASKS = ("vqa", "captions", "vqa", "gqa", "captions")
"""Of the steps."""
ROWS = 4


class Step(nn.Module):
    """The loss of one step."""

    def __init__(self, checkpointing: bool) -> None:
        super().__init__()
        config = BottleneckConfig("lora", rank=4, routing="mul", per_task=True, shared_down_per_task=True)
        self.routed: Routed = attach(tiny("gpt2"), config, tasks=("vqa", "captions", "gqa", "nlvr2"))
        self.model = self.routed.model
        torch.manual_seed(5)
        for bottleneck in self.routed.bottlenecks.values():
            nn.init.normal_(bottleneck.up.weight, std=0.3)
        if checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
            for module in self.model.modules():
                module.training = getattr(module, "gradient_checkpointing", False)  # without dropout

    def forward(self, rows: slice, task: str) -> Tensor:
        with self.routed.look_at(images(batch=ROWS)[rows], task=task):
            logits = self.model(**{name: tensor[rows] for name, tensor in inputs("gpt2", batch=ROWS).items()})[0]
        loss: Tensor = logits.pow(2).mean()
        return loss


def trained(step: nn.Module, rows: slice) -> Iterator[dict[str, Tensor]]:
    """The bottlenecks after every step of AdamW with weight decay."""
    optimizer = torch.optim.AdamW([p for p in step.parameters() if p.requires_grad], lr=0.01, weight_decay=0.5)
    for task in TASKS:
        optimizer.zero_grad()
        step(rows, task).backward()
        optimizer.step()
        yield {name.removeprefix("module."): p.detach().clone() for name, p in step.named_parameters()}


def one_process_of_two(rank: int, file: str, found: str, options: dict[str, Any]) -> None:
    """What each process runs; `options` are those of DDP."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    for checkpointing in (False, True):
        parallel = DistributedDataParallel(Step(checkpointing), **options)
        states = list(trained(parallel, slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)))
        if rank == 0:
            torch.save(states, f"{found}-{checkpointing}")
    torch.distributed.destroy_process_group()
