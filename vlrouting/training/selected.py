"""`select`: a method that looks at the model and at training batches decides what the bottlenecks adapt."""

from __future__ import annotations

import torch

from vlrouting.backbones.load import Backbones
from vlrouting.bottleneck import attach
from vlrouting.bottleneck.attach import Places
from vlrouting.config import ARCHITECTURES, SELECTORS
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.tasks.task import Task, TaskInputs


def select_places(
    task: Task,
    inputs: TaskInputs,
    backbones: Backbones,
    visual_shape: tuple[int, int] | None,
    *,
    data: VisionLanguageDataModule,
    device: torch.device,
) -> Places:
    """What the selector of the configuration chooses, from the joint model without bottlenecks.

    The backbones are as they were afterwards, and so is the global random state.
    """
    config = inputs.config
    assert config.select is not None
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        routed = attach(backbones.language.model, {}, unfreeze=())
        architecture = ARCHITECTURES.load(config.architecture)
        model = architecture(routed, visual_shape, config.model, backbones.vision, outputs=len(inputs.answers))
        module = task.module(model, inputs).to(device).eval()
        batches = (batch.to(device) for batch in data.first_batches(config.select.batches))
        places: Places = SELECTORS.load(config.select.method)(model, batches, module.loss, config).places
        module.cpu().zero_grad()
        routed.detach()
        for backbone in (backbones.language.model, backbones.vision):
            if backbone is not None:
                backbone.requires_grad_(False)
    return places
