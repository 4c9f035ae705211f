"""One training step of the largest batch on this machine's device, for its peak memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vlrouting.config import ExperimentConfig
from vlrouting.doctor.finding import FAULT, WARNING, Finding
from vlrouting.doctor.folders import spelled_bytes
from vlrouting.doctor.memory import PLACE, capacity, compared
from vlrouting.doctor.sizes import Misfit, ModelSize, NotKnown, build, model_size
from vlrouting.doctor.subject import PlannedSweep
from vlrouting.experiment import Point

if TYPE_CHECKING:
    import torch

_REMEDY = "raise train.accumulate, set train.gradient_checkpointing=true or language.dtype=bfloat16"


def measured_step(sweep: PlannedSweep) -> Iterator[Finding]:
    """A step of the point with the most tokens in a micro-batch fits, where the user asked to measure one.

    Weights and tokens are random; the model is whole on one device, whatever the number of processes.
    """
    if not sweep.context.measure:
        return
    known: list[tuple[int, int, Point, ModelSize]] = []
    for point in sweep.points:
        try:
            size = model_size(point.config, sweep.context)
        except (NotKnown, Misfit):
            continue  # which the estimate tells
        known.append((_rows(point.config) * size.sequence(point.config), size.trainable, point, size))
    if not known:
        yield Finding(WARNING, PLACE, "no step can be measured: no backbone is known here", "fetch the backbones first")
        return
    _, _, point, size = max(known, key=lambda entry: entry[:2])
    yield replace(_measured(point.config, size, sweep), points=(point.name,))


def _measured(config: ExperimentConfig, size: ModelSize, sweep: PlannedSweep) -> Finding:
    import torch

    from vlrouting.training.device import choose_device, device_name, peak_memory, reset_peak_memory

    device = choose_device([config])
    has, what = capacity(config, sweep.context)
    said = f"a training step of {_rows(config)} examples x {size.sequence(config)} tokens on {device_name(device)}"
    reset_peak_memory()
    try:
        run_step(config, size, device)
    except torch.OutOfMemoryError:
        return Finding(FAULT, PLACE, f"{said} runs out of memory", _REMEDY)
    peak = peak_memory(device)
    return compared(peak, f"{said} takes {spelled_bytes(peak)}, as measured", _REMEDY, has, what)


def run_step(config: ExperimentConfig, size: ModelSize, device: torch.device) -> None:
    """Build the point's model with random weights; one forward pass, backward pass and optimizer step."""
    import torch

    from vlrouting.backbones.language import load_language_model
    from vlrouting.backbones.vision import load_vision_encoder
    from vlrouting.tasks.optimization import make_optimizer
    from vlrouting.training.device import precision_of

    encodes = config.uses_image and not config.vision.cache
    encoder = load_vision_encoder(replace(config.vision, weights="random")) if encodes else None
    language = load_language_model(replace(config.language, weights="random"), causal=config.generates)
    model = build(config, language, size.answers, size.visual_shape, encoder).to(device).train()
    optimizer, _ = make_optimizer(model.parameters(), config.train, 1)
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision_of(config.train))
    with torch.autocast(device.type, dtype) if dtype is not None else nullcontext():
        output = model(**_batch(config, size, int(language.model.config.vocab_size), device))
    output.float().mean().backward()
    optimizer.step()


def _batch(config: ExperimentConfig, size: ModelSize, vocabulary: int, device: torch.device) -> dict[str, Any]:
    """Random inputs of the model, of the configured lengths."""
    import torch

    rows = _rows(config)
    ids = torch.randint(vocabulary, (rows, size.text_tokens(config)), device=device)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | ({"labels": ids} if config.generates else {})
    if not config.uses_image or size.vision is None or size.visual_shape is None:
        return batch
    if config.vision.cache:
        return {**batch, "features": torch.randn(rows, *size.visual_shape, device=device)}
    images = (size.images,) if size.images > 1 else ()
    return {**batch, "pixels": torch.randn(rows, *images, 3, *size.vision.pixels, device=device)}


def _rows(config: ExperimentConfig) -> int:
    """Examples of a micro-batch."""
    return config.train.batch_size // config.train.micro_batches
