"""An estimate of the memory that a training step takes on each device, against what the device has.

    weights       frozen parameters in their dtype; under fsdp a share of them, and two whole blocks
    training      16 bytes a trained parameter: weight, gradient, and AdamW's two moments, all float32
    activations   examples of a piece x tokens x layers x what autograd keeps of a token in a block (`Sizes`);
                  with gradient checkpointing, of every block its input, and of one block all
    working       one block's gradients; where a text is written, three times the logits in float32; where images are
                  encoded in the step, a few of the encoder's layers
    program       on a CPU the Python process itself, on a GPU what CUDA takes

A piece has batch_size / (devices x nodes x accumulate) examples, taken to be as long as the configuration lets them
be. It is an estimate: `benchmarks/memory_estimate.py` holds it against a measured peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vlrouting.config import ExperimentConfig
from vlrouting.doctor.devices import gpus_for
from vlrouting.doctor.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.folders import spelled_bytes
from vlrouting.doctor.sizes import Misfit, NotKnown, Sizes, sizes
from vlrouting.doctor.subject import Surroundings, Sweep
from vlrouting.experiment import Point

PLACE = "memory"
TRAINED_BYTES = 16
PROGRAM = {"cpu": 1000 * 2**20, "gpu": 700 * 2**20}
"""Measured on a CPU: Python with torch, Lightning, transformers and timm, after its first step."""
TIGHT = 0.85
"""Beyond this share of the memory there is a warning: what is reserved is never all used."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_ENCODER_LAYERS = 16
"""Tensors of a token's width that are alive in an encoder that keeps nothing for a backward pass."""
_MEMINFO = Path("/proc/meminfo")


def fits(sweep: Sweep) -> Iterator[Finding]:
    """A training step of every point fits into a device's memory."""
    checked: dict[str, list[tuple[int, Point, Finding]]] = {}
    for point in sweep.points:
        need, finding = _of_point(point, sweep.where)
        checked.setdefault(finding.level + finding.remedy, []).append((need, point, finding))
    for same in checked.values():
        _, _, worst = max(same, key=lambda entry: entry[0])
        yield replace(worst, points=tuple(point.name for _, point, _ in same))


def estimate(config: ExperimentConfig, sizes: Sizes, device: str) -> dict[str, int]:
    """Bytes of a training step on one device, by part.

    Args:
        config: of the point.
        sizes: of its model.
        device: `cpu` or `gpu`.
    """
    train = config.train
    examples = train.batch_size // train.micro_batches
    tokens = examples * sizes.sequence(config)
    # Of `auto` the larger is taken on a CPU, which may not compute in bfloat16.
    wide = train.precision == "32-true" or (train.precision == "auto" and device == "cpu")
    small = not wide or config.language.dtype != "float32"
    block = tokens * (sizes.kept_wide * (2 if small else 4) + sizes.kept_norms * 4)
    inputs = tokens * sizes.layers * sizes.width * 4
    activations = inputs + block if train.gradient_checkpointing else sizes.layers * block
    return {
        "weights": _weights(config, sizes),
        "training": TRAINED_BYTES * sizes.trained,
        "activations": activations,
        "working": block + 3 * 4 * tokens * sizes.vocabulary + _encoding(config, sizes, examples),
        "program": PROGRAM[device],
    }


def capacity(config: ExperimentConfig, where: Surroundings) -> tuple[int | None, str, str]:
    """Bytes that one device has (None where that is not known), what is meant by them, and `cpu` or `gpu`."""
    gpus = () if where.elsewhere else gpus_for(config, where)
    if where.gpu_memory is not None and config.train.accelerator != "cpu":
        return int(where.gpu_memory * 2**30), f"{where.gpu_memory:g} GiB, as --gpu-memory says", "gpu"
    if gpus:
        free = min(gpu.free for gpu in gpus)
        return free, f"{spelled_bytes(free)} free of {gpus[0].name}", "gpu"
    if where.elsewhere or config.train.accelerator == "gpu":
        return None, "", "cpu" if config.train.accelerator == "cpu" else "gpu"
    available = _available(where)
    if available is None:
        return None, "", "cpu"
    each = available // config.train.devices
    shared = f" to each of {config.train.devices} processes" if config.train.devices > 1 else ""
    return each, f"{spelled_bytes(each)} available{shared}", "cpu"


def _of_point(point: Point, where: Surroundings) -> tuple[int, Finding]:
    """Bytes, and what is to be said of them."""
    config = point.config
    try:
        size = sizes(config, where)
    except NotKnown as why:
        return 0, Finding(OK, PLACE, f"not estimated: {why}")
    except Misfit as why:
        return 0, Finding(FAULT, "bottlenecks", str(why), "change bottleneck.targets, or what the text names")
    has, what, device = capacity(config, where)
    parts = estimate(config, size, device)
    need = sum(parts.values())
    listed = ", ".join(f"{name} {spelled_bytes(part)}" for name, part in parts.items())
    said = f"a training step is estimated to take {spelled_bytes(need)} a device ({listed})"
    if has is None:
        ask = ": give --gpu-memory GIB" if device == "gpu" else ""
        return need, Finding(OK, PLACE, f"{said}; what there is is not known here{ask}")
    if need > TIGHT * has:
        level, said = (FAULT, f"{said}, more than {what}") if need > has else (WARNING, f"{said}, nearly all of {what}")
        return need, Finding(level, PLACE, said, _remedy(config, size, TIGHT * has, device))
    return need, Finding(OK, PLACE, f"{said}, of {what}")


def _remedy(config: ExperimentConfig, size: Sizes, has: float, device: str) -> str:
    """The smallest `train.accumulate` that fits; with gradient checkpointing where none does without."""
    share = config.train.batch_size // config.train.processes
    pieces = [count for count in range(config.train.accumulate, share + 1) if share % count == 0]
    for checkpointing in dict.fromkeys((config.train.gradient_checkpointing, True)):
        for accumulate in pieces:
            train = replace(config.train, accumulate=accumulate, gradient_checkpointing=checkpointing)
            if sum(estimate(replace(config, train=train), size, device).values()) <= has:
                changed = {"accumulate": accumulate, "gradient_checkpointing": str(checkpointing).lower()}
                return "set " + " ".join(
                    f"train.{key}={value}"
                    for key, value in changed.items()
                    if getattr(train, key) != getattr(config.train, key)
                )
    return "set language.dtype=bfloat16, train.strategy=fsdp over more devices, or take a smaller backbone"


def _weights(config: ExperimentConfig, sizes: Sizes) -> int:
    of_each = _BYTES[config.language.dtype]
    frozen = sizes.frozen * of_each
    if config.train.strategy == "fsdp" and config.train.processes > 1:
        blocks = sizes.layers * sizes.block
        share = blocks // config.train.processes + 2 * sizes.block
        frozen = (sizes.frozen - blocks + min(share, blocks)) * of_each
    looks = sizes.vision is not None and config.model.visual_input == "image"
    return frozen + (4 * sizes.vision.parameters if looks and sizes.vision is not None else 0)


def _encoding(config: ExperimentConfig, sizes: Sizes, examples: int) -> int:
    """Bytes of encoding a piece's images in the step."""
    if sizes.vision is None or config.vision.cache or config.model.visual_input != "image":
        return 0
    images = examples * max(1, sizes.visual_tokens // max(1, sizes.vision.tokens))
    layers = _ENCODER_LAYERS * sizes.vision.width * sizes.vision.pixels // 256  # as if of patches of 16 x 16
    return 4 * images * (2 * 3 * sizes.vision.pixels + layers)


def _available(where: Surroundings) -> int | None:
    """Bytes of memory that this machine can still give, or the job may take."""
    if not _MEMINFO.exists():
        return None
    line = next(line for line in _MEMINFO.read_text().splitlines() if line.startswith("MemAvailable"))
    available = int(line.split()[1]) * 1024
    allowed = where.environment.get("SLURM_MEM_PER_NODE", "")  # MiB
    return min(available, int(allowed) * 2**20) if where.in_job and allowed.isdigit() and int(allowed) else available
