"""The devices of this machine against those that a point wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.subject import RunContext
from vlrouting.training.machine import cores

PLACE = "devices"
AMPERE = 8
"""Compute capability of the first NVIDIA GPUs that compute in bf16, as in `torch.cuda.is_bf16_supported`."""


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine."""

    name: str
    bfloat16: bool
    """Whether it computes in bf16 itself."""


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process sees.

    Only their properties are read. That opens no context on a GPU, which would take hundreds of megabytes of each as
    long as this process runs.
    """
    import torch

    if not torch.cuda.is_available():
        return ()
    properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return tuple(Gpu(each.name, torch.version.hip is not None or each.major >= AMPERE) for each in properties)


def free_memory(gpus: int) -> int:
    """Bytes that nobody uses now, on the GPU that has the fewest. Opens a context on each."""
    import torch

    return min(torch.cuda.mem_get_info(number)[0] for number in range(gpus))


def gpus_for(config: ExperimentConfig, context: RunContext) -> tuple[Gpu, ...]:
    """The GPUs of this machine that the point may use."""
    return () if config.train.accelerator == "cpu" else context.once("gpus", gpus)


def devices(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """There are as many devices as the point wants, and they can do what it wants."""
    train = config.train
    if context.elsewhere:
        yield Finding(OK, PLACE, "those of the nodes are not seen from here; each node looks at its own as it starts")
        return
    if train.nodes > 1 and not context.in_job and "RANK" not in context.environment:
        found = f"train.nodes is {train.nodes}, and a local launcher has this machine alone"
        yield Finding(FAULT, PLACE, found, "set train.nodes=1, or use --launcher slurm")
    there = gpus_for(config, context)
    if there:
        yield from _of_gpus(config, there)
    elif train.accelerator == "gpu":
        remedy = "set train.accelerator=cpu, or see what `nvidia-smi` and torch.cuda.is_available() say"
        yield Finding(FAULT, PLACE, "train.accelerator is gpu, and torch finds no GPU here", remedy)
    else:
        yield from _of_cpu(config)


def _of_gpus(config: ExperimentConfig, found: tuple[Gpu, ...]) -> Iterator[Finding]:
    wanted = config.train.devices
    if wanted > len(found):
        remedy = f"set train.devices={len(found)}, or ask for a machine with {wanted}"
        yield Finding(FAULT, PLACE, f"train.devices is {wanted}, and there are {len(found)} GPUs", remedy)
    slow = sorted({gpu.name for gpu in found if not gpu.bfloat16})
    if slow and config.train.precision == "bf16-mixed":
        remedy = "set train.precision=16-mixed or 32-true"
        yield Finding(WARNING, PLACE, f"train.precision is bf16-mixed, which {', '.join(slow)} only imitates", remedy)
    if slow and config.language.dtype == "bfloat16":
        remedy = "set language.dtype=float16 or float32"
        yield Finding(WARNING, PLACE, f"language.dtype is bfloat16, which {', '.join(slow)} only imitates", remedy)
    if wanted <= len(found):
        yield Finding(OK, PLACE, f"{wanted} of {len(found)} GPUs: {', '.join(sorted({gpu.name for gpu in found}))}")


def _of_cpu(config: ExperimentConfig) -> Iterator[Finding]:
    available = cores()
    if config.train.devices > available:
        remedy = f"set train.devices={available} at most"
        found = f"train.devices is {config.train.devices}, and there are {available} cores to run the processes on"
        yield Finding(WARNING, PLACE, found, remedy)
    else:
        yield Finding(OK, PLACE, f"{config.train.devices} process(es) on {available} cores; no GPU is used")
    if config.train.precision == "16-mixed":
        found = "train.precision is 16-mixed, which no CPU has: Lightning takes bf16-mixed instead"
        yield Finding(WARNING, PLACE, found, "set train.precision=32-true or bf16-mixed")
