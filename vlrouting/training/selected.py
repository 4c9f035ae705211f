"""`select`: a method that looks at the model and at training batches decides what the bottlenecks adapt."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from vlrouting.backbones.load import Backbones
from vlrouting.bottleneck import Routed, Target, attach
from vlrouting.config import ARCHITECTURES, TASKS, ExperimentConfig
from vlrouting.data.loading.batch import Batch
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.experiment import UserError, write_json_atomic
from vlrouting.models.joint_model import JointModel
from vlrouting.selection import Selection, SelectionProblem, select
from vlrouting.tasks.joint import attach_tower
from vlrouting.tasks.task import TaskInputs

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class SelectionFile:
    """Where a run keeps its selector's choice: all processes, and every resume, train what was chosen once.

    Attributes:
        path: the file, in the run directory.
        is_first: whether this process is the one that chooses.
    """

    path: Path
    is_first: bool

    @property
    def folder(self) -> Path:
        """For what the selector measured, beside the choice: `selection/`."""
        return self.path.with_suffix("")

    def choice(self, choose: Callable[[], Selection]) -> Selection:
        """The choice in the file. Where there is none yet, the first process makes it and the others wait for it.

        Raises:
            UserError: the file is damaged.
        """
        if self.is_first and not self.path.is_file():
            write_json_atomic(self.path, _to_json(choose()))
        while not self.path.is_file():  # what started the processes stops all of them when the first one fails
            time.sleep(POLL_SECONDS)
        try:
            return _from_json(json.loads(self.path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{self.path} is damaged ({error}); to train this point again: rm -r '{self.path.parent}'"
            ) from error


def _to_json(selection: Selection) -> dict[str, object]:
    places = {
        name: [each.to_json() if isinstance(each, Target) else each for each in targets]
        for name, targets in selection.places.items()
    }
    return {"places": places, "unfreeze": list(selection.unfreeze), "vision_unfreeze": list(selection.vision_unfreeze)}


def _from_json(stored: dict[str, dict[str, list[object]]]) -> Selection:
    places = {
        name: [Target.from_json(each) if isinstance(each, dict) else str(each) for each in targets]
        for name, targets in stored["places"].items()
    }
    unfreeze = (stored["unfreeze"], stored.get("vision_unfreeze") or ())
    return Selection(places, *(tuple(map(str, each)) for each in unfreeze))


def run_selector(
    config: ExperimentConfig,
    parts: Mapping[str, TaskInputs],
    backbones: Backbones,
    visual_shape: tuple[int, int] | None,
    *,
    visual_tokens: Mapping[str, int],
    data: VisionLanguageDataModule,
    device: torch.device,
    statistics: tuple[Tensor, Tensor] | None = None,
    folder: Path | None = None,
) -> Selection:
    """What the selector of the configuration chooses, from the joint model without bottlenecks and from batches of all
    datasets.

    The backbones and the global random state are afterwards as they were. `statistics` are those of the images'
    features, for `standardize_visual`; `folder` is `SelectionProblem.folder`.

    Raises:
        UserError: the selector chose nothing, or what is not there.
    """
    assert config.select is not None
    outputs = len(next(iter(parts.values())).answers)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        routed = attach(backbones.language.model, {}, unfreeze=())
        architecture = ARCHITECTURES.load(config.architecture)
        model = architecture(routed, visual_shape, config.model, backbones.vision, outputs=outputs)
        model.visual_tokens = dict(visual_tokens)
        if model.standardize is not None and statistics is not None:
            model.standardize.measure(*statistics)
        model.to(device).eval()
        tasks = {name: TASKS.load(each.config.task).module(model, each) for name, each in parts.items()}
        batches = (batch.to(device) for batch in data.first_batches(config.select.batches))

        def loss(batch: Batch) -> Tensor:
            found: Tensor = tasks[batch.dataset].loss(batch)
            return found

        problem = SelectionProblem(
            model=model,
            bottlenecks=config.named_bottlenecks,
            batches=batches,
            loss=loss,
            attached=partial(_attached, model, config),
            folder=folder,
        )
        try:
            chosen = select(problem, config.select)
        except ValueError as error:
            raise UserError(str(error)) from None
        model.cpu().zero_grad()
        model.routed.detach()
        for backbone in (backbones.language.model, backbones.vision):
            if backbone is not None:
                backbone.requires_grad_(False)
    return chosen


@contextmanager
def _attached(model: JointModel, config: ExperimentConfig) -> Iterator[Mapping[str, Routed]]:
    """See `SelectionProblem.attached`."""
    towers = {"language": model.routed.detach()}
    if model.vision is not None and config.trains_vision:
        towers["vision"] = model.vision.model
    found = {tower: attach_tower(towers[tower], config, tower, None) for tower in towers}
    model.routed = found["language"]
    if "vision" in found:
        model.vision.routed = found["vision"]  # type: ignore[union-attr]
    try:
        yield found
    finally:
        for routed in found.values():
            routed.detach()
        model.routed = attach(model.language, {}, unfreeze=())
        if model.vision is not None:
            model.vision.routed = None
