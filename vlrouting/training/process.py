"""What every process that computes does first."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlrouting.config import ExperimentConfig
from vlrouting.experiment import import_plugins
from vlrouting.training.device import choose_device
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.machine import keep_freed_memory


def set_up_process(
    configs: Sequence[ExperimentConfig], *, local_rank: int = 0, threads: int | None = None
) -> SharedInputs:
    """Import the plug-ins, choose the device, and set threads and memory.

    Args:
        configs: the points that this process works on.
        local_rank: number of the GPU.
        threads: of PyTorch on the CPU; default: PyTorch's own choice.

    Returns:
        Where the points get their inputs from.

    Raises:
        UserError: a plug-in cannot be imported.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    for config in configs:
        import_plugins(config.plugins)
    device = choose_device(configs, local_rank)
    if device.type == "cpu":
        keep_freed_memory()
    return SharedInputs(device)
