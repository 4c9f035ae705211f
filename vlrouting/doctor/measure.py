"""One training step of the largest batch on this machine's device, for its peak memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, WARNING, Finding
from vlrouting.doctor.folders import spelled_bytes
from vlrouting.doctor.memory import PLACE, capacity, compared
from vlrouting.doctor.sizes import Misfit, ModelSize, NotKnown, build, model_size
from vlrouting.doctor.subject import PlannedSweep
from vlrouting.experiment import Point

if TYPE_CHECKING:
    import torch

    from vlrouting.data.loading.batch import Batch

_REMEDY = "raise train.accumulate, set train.gradient_checkpointing=true or language.dtype=bfloat16"


def measured_step(sweep: PlannedSweep) -> Iterator[Finding]:
    """A step of the point and dataset with the most tokens in a micro-batch fits, where the user asked to measure one.

    Weights and tokens are random; the model is whole on one device, whatever the number of processes.
    """
    if not sweep.context.measure:
        return
    known: list[tuple[int, int, Point, str, ModelSize]] = []
    for point in sweep.points:
        try:
            size = model_size(point.config, sweep.context)
        except (NotKnown, Misfit):
            continue  # which the estimate tells
        for name, view in point.config.per_dataset.items():
            known.append((_rows(view) * size.sequence(view, name), size.trainable, point, name, size))
    if not known:
        yield Finding(WARNING, PLACE, "no step can be measured: no backbone is known here", "fetch the backbones first")
        return
    _, _, point, dataset, size = max(known, key=lambda entry: entry[:2])
    yield replace(_measured(point.config, dataset, size, sweep), points=(point.name,))


def _measured(config: ExperimentConfig, dataset: str, size: ModelSize, sweep: PlannedSweep) -> Finding:
    import torch

    from vlrouting.training.device import choose_device, device_name, peak_memory, reset_peak_memory

    device = choose_device([config])
    has, what = capacity(config, sweep.context)
    view = config.per_dataset[dataset]
    examples = f"{_rows(view)} examples{f' of {dataset}' if config.datasets else ''}"
    said = f"a training step of {examples} x {size.sequence(view, dataset)} tokens on {device_name(device)}"
    reset_peak_memory(device)
    try:
        run_step(config, dataset, size, device)
    except torch.OutOfMemoryError:
        return Finding(FAULT, PLACE, f"{said} runs out of memory", _REMEDY)
    peak = peak_memory(device)
    return compared(peak, f"{said} takes {spelled_bytes(peak)}, as measured", _REMEDY, has, what)


def run_step(config: ExperimentConfig, dataset: str, size: ModelSize, device: torch.device) -> None:
    """Build the point's model with random weights; one forward pass of a batch of the dataset, backward pass and
    optimizer step."""
    import torch

    from vlrouting.backbones.load import load_language, load_vision
    from vlrouting.tasks.optimization import make_optimizer
    from vlrouting.training.device import precision_of

    vision, language = replace(config.vision, weights="random"), replace(config.language, weights="random")
    config = replace(config, vision=vision, language=language)
    encoder, language_model = load_vision(config) if _encodes(config) else None, load_language(config)
    shape = size.visual_shape(next(iter(size.images)))
    model = build(config, language_model, size.answers, shape, encoder).to(device).train()
    optimizer, _ = make_optimizer(model.parameters(), config.train, 1)
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision_of(config.train))
    with torch.autocast(device.type, dtype) if dtype is not None else nullcontext():
        output = model(_batch(config, dataset, size, int(language_model.model.config.vocab_size)).to(device))
    output.float().mean().backward()
    optimizer.step()


def _encodes(config: ExperimentConfig) -> bool:
    """Whether images are encoded in the step."""
    return config.uses_image and (config.trains_vision or not config.vision.cache)


def _batch(config: ExperimentConfig, dataset: str, size: ModelSize, vocabulary: int) -> Batch:
    """Random inputs of the model, of the lengths that the dataset is configured with."""
    import torch

    from vlrouting.data.example import Example
    from vlrouting.data.loading.batch import Batch

    view = config.per_dataset[dataset]
    rows, visual_shape, images = _rows(view), size.visual_shape(dataset), size.images[dataset]
    target = size.target_tokens(view)
    ids = torch.randint(vocabulary, (rows, size.text_tokens(view) - target))
    labels = torch.randint(vocabulary, (rows, target)) if target else ids
    tensors = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    if size.vision is not None and visual_shape is not None:
        several = (images,) if images > 1 else ()
        shape = (*several, 3, *size.vision.pixels) if _encodes(config) else visual_shape
        tensors["visual"] = torch.randn(rows, *shape)
    return Batch([Example(0, (), "", {})] * rows, tensors, dataset)


def _rows(config: ExperimentConfig) -> int:
    """Examples of a micro-batch."""
    return config.train.batch_size // config.train.micro_batches
