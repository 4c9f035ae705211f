"""An analysis as TensorBoard scalars: a folder of its own, since their steps are numbers of layers."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from vlrouting.analysis.answers import CHANGES
from vlrouting.analysis.layers import LayerMeasures
from vlrouting.analysis.point import Analysis
from vlrouting.bottleneck.targets import block_of
from vlrouting.config.experiment import SINGLE

CURVES = (
    "relative_size",
    "image_dependence",
    "effective_rank_before",
    "effective_rank_after",
    "cka",
    "cka_by_chance",
)
"""Fields of `LayerMeasures`."""


def write_scalars(folder: Path, analysis: Analysis) -> None:
    """Write `analysis/<measure>/<target>` over the number of the layer, and `analysis/answers_changed/<change>`.

    Args:
        folder: for these alone; those of an earlier analysis are removed. The event files of the training are in its
            parent, where a resumed run cuts them at a training step.
        analysis: of one point.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        for layer in analysis.layers:
            for name in CURVES:
                value = getattr(layer, name)
                if value is not None:
                    writer.add_scalar(f"analysis/{name}/{_target(layer)}", value, layer.layer or 0)
        for change in CHANGES:
            writer.add_scalar(f"analysis/answers_changed/{change}", analysis.answers.share(change), 0)


def _target(layer: LayerMeasures) -> str:
    """What the bottlenecks of a curve have in common: the module's name within its block."""
    within = block_of(layer.name)[1] or layer.name
    named = within if layer.bottleneck == SINGLE else f"{layer.bottleneck}:{within}"
    return named if layer.task is None else f"{named}@{layer.task}"
