"""The memory that a point takes on each device before anything is computed, against what the device has.

    weights     frozen parameters in their dtype; under fsdp a share of the blocks, and two whole ones
    training    16 bytes a trainable parameter: weight, gradient, and AdamW's two moments, all float32
    selection   what a selector takes before the training, in place of that

Saved activations come on top: `measure` finds them by a training step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.devices import free_memory, gpus_for
from vlrouting.doctor.folders import spelled_bytes
from vlrouting.doctor.sizes import Misfit, ModelSize, NotKnown, model_size
from vlrouting.doctor.subject import PlannedSweep, RunContext
from vlrouting.experiment import Point

PLACE = "memory"
TRAINING_BYTES = 16
TIGHT = 0.85
"""Beyond this share of the memory there is a warning: what is reserved is never all used."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_MEMINFO = Path("/proc/meminfo")


def fits(sweep: PlannedSweep) -> Iterator[Finding]:
    """Weights and optimizer states of every point fit into a device's memory."""
    checked: dict[str, list[tuple[int, Point, Finding]]] = {}
    for point in sweep.points:
        need, finding = _of_point(point.config, sweep.context)
        checked.setdefault(finding.level + finding.remedy, []).append((need, point, finding))
    for same in checked.values():
        _, _, worst = max(same, key=lambda entry: entry[0])
        yield replace(worst, points=tuple(point.name for _, point, _ in same))


def bytes_of(config: ExperimentConfig, size: ModelSize) -> dict[str, int]:
    """Bytes on one device, by part."""
    frozen, shares = size.frozen, config.train.processes
    if config.train.strategy == "fsdp" and shares > 1:
        frozen += min(size.in_blocks // shares + 2 * size.in_blocks // size.blocks, size.in_blocks) - size.in_blocks
    encoder = size.vision.parameters if size.vision is not None and config.uses_image else 0
    weights = frozen * _BYTES[config.language.dtype] + 4 * encoder
    parts = {"weights": weights, "training": TRAINING_BYTES * size.trainable}
    if config.select is not None:
        parts["selection"] = config.select.memory(size.frozen + (encoder if config.trains_vision else 0))
    return parts


def need_of(parts: dict[str, int]) -> int:
    """Bytes that are taken at once: the selection ends before the training begins."""
    return parts["weights"] + max(parts["training"], parts.get("selection", 0))


def capacity(config: ExperimentConfig, context: RunContext) -> tuple[int | None, str]:
    """Bytes that one device has (None where that is not known), and what is meant by them."""
    gpus = () if context.elsewhere else gpus_for(config, context)
    if context.gpu_memory is not None and config.train.accelerator != "cpu":
        return int(context.gpu_memory * 2**30), f"{context.gpu_memory:g} GiB, as --gpu-memory says"
    if gpus:
        free = context.once("free memory", lambda: free_memory(len(gpus)))
        return free, f"{spelled_bytes(free)} free of {gpus[0].name}"
    available = None if context.elsewhere or config.train.accelerator == "gpu" else _available(context)
    if available is None:
        return None, ""
    each = available // config.train.devices
    shared = f" to each of {config.train.devices} processes" if config.train.devices > 1 else ""
    return each, f"{spelled_bytes(each)} available{shared}"


def compared(need: int, said: str, remedy: str, has: int | None, what: str) -> Finding:
    """A need of memory against what there is.

    Args:
        need: bytes.
        said: the need in words.
        remedy: against too little memory.
        has: bytes of `capacity`.
        what: its words.
    """
    if has is None:
        return Finding(OK, PLACE, f"{said}; what there is is not known here: give --gpu-memory GIB")
    if need > has:
        return Finding(FAULT, PLACE, f"{said}, more than {what}", remedy)
    if need > TIGHT * has:
        return Finding(WARNING, PLACE, f"{said}, nearly all of {what}", remedy)
    return Finding(OK, PLACE, f"{said}, of {what}")


def _of_point(config: ExperimentConfig, context: RunContext) -> tuple[int, Finding]:
    """Bytes, and what is to be said of them."""
    try:
        parts = bytes_of(config, model_size(config, context))
    except NotKnown as why:
        return 0, Finding(OK, PLACE, f"not estimated: {why}")
    except Misfit as why:
        return 0, Finding(FAULT, "bottlenecks", str(why), "change bottleneck.targets, or what the text names")
    listed = ", ".join(f"{name} {spelled_bytes(part)}" for name, part in parts.items())
    said = f"a device holds {listed}, and activations on top (--measure finds how much)"
    remedy = "set language.dtype=bfloat16, train.strategy=fsdp over more devices, or take a smaller backbone"
    has, what = capacity(config, context)
    return need_of(parts), compared(need_of(parts), said, remedy, has, what)


def _available(context: RunContext) -> int | None:
    """Bytes of memory that this machine can still give, or the job may take."""
    if not _MEMINFO.exists():
        return None
    line = next(line for line in _MEMINFO.read_text().splitlines() if line.startswith("MemAvailable"))
    available = int(line.split()[1]) * 1024
    allowed = context.environment.get("SLURM_MEM_PER_NODE", "")  # MiB
    return min(available, int(allowed) * 2**20) if context.in_job and allowed.isdigit() and int(allowed) else available
