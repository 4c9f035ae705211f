"""The device that a point runs on: which one, its name, its peak memory."""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import torch

from vlrouting.config import ExperimentConfig

_LINUX_STATUS = Path("/proc/self/status")


def choose_device(configs: Iterable[ExperimentConfig], local_rank: int = 0) -> torch.device:
    """The GPU number `local_rank` where this machine has one and a configuration wants it, else the CPU."""
    wants_gpu = any(config.train.accelerator != "cpu" for config in configs)
    return torch.device("cuda", local_rank) if wants_gpu and torch.cuda.is_available() else torch.device("cpu")


def device_name(device: torch.device, processes: int = 1) -> str:
    """`cuda: NVIDIA H200`, `cpu: x86_64, 2 threads`, `8 x cuda: NVIDIA H200` of a group of eight."""
    group = f"{processes} x " if processes > 1 else ""
    if device.type == "cuda":
        return f"{group}cuda: {torch.cuda.get_device_name(device)}"
    return f"{group}{device.type}: {platform.machine()}, {torch.get_num_threads()} threads"


def reset_peak_memory() -> None:
    """Start counting anew, where the system can: points of a sweep share a process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Bytes at the highest: of the GPU's memory, or of this process's."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if _LINUX_STATUS.exists():
        line = next(line for line in _LINUX_STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
