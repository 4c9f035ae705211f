"""The device that a point runs on: which one, its precision, its name, its peak memory."""

from __future__ import annotations

import gc
import platform
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

from vlrouting.config import ExperimentConfig, TrainConfig

_LINUX_STATUS = Path("/proc/self/status")
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def choose_device(configs: Iterable[ExperimentConfig], local_rank: int = 0) -> torch.device:
    """The GPU number `local_rank` where this machine has one and a configuration allows it, else the CPU."""
    wants_gpu = any(config.train.accelerator != "cpu" for config in configs)
    return torch.device("cuda", local_rank) if wants_gpu and torch.cuda.is_available() else torch.device("cpu")


def precision_of(train: TrainConfig) -> Precision:
    """`train.precision`; `auto` is bf16-mixed where the hardware computes in it, else 32-true."""
    if train.precision != "auto":
        return train.precision  # type: ignore[return-value]
    if train.accelerator != "cpu" and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = cpu_has_bf16()
    return "bf16-mixed" if native else "32-true"


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 itself (AVX512-BF16, AMX): emulation is slower than float32."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not public in PyTorch yet
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def device_name(device: torch.device, processes: int = 1) -> str:
    """`cuda: NVIDIA H200`, `cpu: x86_64, 2 threads`, `8 x cuda: NVIDIA H200` of a group of eight."""
    group = f"{processes} x " if processes > 1 else ""
    if device.type == "cuda":
        return f"{group}cuda: {torch.cuda.get_device_name(device)}"
    return f"{group}{device.type}: {platform.machine()}, {torch.get_num_threads()} threads"


def device_kind(device: torch.device) -> str:
    """`NVIDIA H200`, or `cpu`: what runs may not differ in if their scores are averaged."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def reset_peak_memory(device: torch.device) -> None:
    """Count again from here, where the system can: points of a sweep share a process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def free_memory() -> None:
    """Give back what earlier points held: a model and its hooks refer to one another, so only the garbage collector
    frees them, and it may not run before the next model is on the GPU."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def peak_memory(device: torch.device) -> int:
    """Highest number of bytes: of the GPU's memory, or of this process's."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if _LINUX_STATUS.exists():
        line = next(line for line in _LINUX_STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
