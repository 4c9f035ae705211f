"""`select`: a method that looks at the model and at training batches decides what the bottlenecks adapt."""

from __future__ import annotations

import torch

from vlrouting.backbones.load import Backbones
from vlrouting.bottleneck import attach
from vlrouting.config import ARCHITECTURES
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.experiment import UserError
from vlrouting.selection import Selection, SelectionProblem, select
from vlrouting.tasks.task import Task, TaskInputs


def run_selector(
    task: Task,
    inputs: TaskInputs,
    backbones: Backbones,
    visual_shape: tuple[int, int] | None,
    *,
    data: VisionLanguageDataModule,
    device: torch.device,
) -> Selection:
    """What the selector of the configuration chooses, from the joint model without bottlenecks.

    The backbones and the global random state are afterwards as they were.

    Raises:
        UserError: the selector chose nothing, or what is not there.
    """
    config = inputs.config
    assert config.select is not None
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        routed = attach(backbones.language.model, {}, unfreeze=())
        architecture = ARCHITECTURES.load(config.architecture)
        model = architecture(routed, visual_shape, config.model, backbones.vision, outputs=len(inputs.answers))
        model.to(device).eval()
        loss = task.module(model, inputs).loss
        batches = (batch.to(device) for batch in data.first_batches(config.select.batches))
        try:
            chosen = select(SelectionProblem(model, config.named_bottlenecks, batches, loss), config.select)
        except ValueError as error:
            raise UserError(str(error)) from None
        model.cpu().zero_grad()
        routed.detach()
        for backbone in (backbones.language.model, backbones.vision):
            if backbone is not None:
                backbone.requires_grad_(False)
    return chosen
