"""The models of an experiment's variants, built from their configurations on torch's `meta` device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vlrouting.backbones.load import Backbones
from vlrouting.backbones.without_weights import language_without_weights, vision_without_weights
from vlrouting.config import TASKS, DataConfig, ExperimentConfig
from vlrouting.data.datasets.presence import USUAL_ANSWERS, missing_files
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.recipe_folder import STAMP
from vlrouting.data.datasets.registry import recipe_of
from vlrouting.data.example import DataError
from vlrouting.experiment import Point
from vlrouting.models.joint_model import JointModel
from vlrouting.parameters.counts import ParameterCounts, count_parameters
from vlrouting.tasks.joint import build_model


@dataclass(frozen=True)
class VariantParameters:
    """One variant.

    Attributes:
        name: the points that differ in nothing but the seed.
        counts: by part.
        notes: what was assumed.
    """

    name: str
    counts: ParameterCounts
    notes: tuple[str, ...] = ()


def experiment_parameters(points: Iterable[Point]) -> list[VariantParameters]:
    """The parameters of every variant, in the order of the points. Configurations may be fetched from the hub, weights
    are not; data are read only where a head chooses among their answers.

    Raises:
        BackboneError: a model's configuration cannot be had.
        UserError: the bottlenecks do not fit the models.
    """
    first = {point.variant or point.name: point for point in reversed(list(points))}
    counter = _Counter()
    return [counter.parameters_of(name, point.config) for name, point in reversed(first.items())]


class _Counter:
    """Counts variant after variant; what they share is found once."""

    def __init__(self) -> None:
        self._vocabularies: dict[str, int | None] = {}
        self._widths: dict[str, int] = {}

    def parameters_of(self, name: str, config: ExperimentConfig) -> VariantParameters:
        notes = []
        vocabulary = None if config.generates else self._vocabulary_size(config)
        if vocabulary is None and not config.generates:
            notes.append(f"the head is that of {USUAL_ANSWERS:,} answers: the data are not here")
        if config.select is not None:
            number = config.select.trainable
            then = "" if number is None else f"; its choice trains about {number:,} in their place"
            notes.append(f"before the selector's choice: every target has a bottleneck{then}")
        model = self._model_on_meta(config, 0 if config.generates else vocabulary or USUAL_ANSWERS)
        return VariantParameters(name, count_parameters(model), tuple(notes))

    def _vocabulary_size(self, config: ExperimentConfig) -> int | None:
        key = repr((config.data, config.task))
        if key not in self._vocabularies:
            self._vocabularies[key] = _vocabulary_size(config.data, config.task)
        return self._vocabularies[key]

    def _model_on_meta(self, config: ExperimentConfig, answers: int) -> JointModel:
        """The point's joint model, as training builds it."""
        language, vision, visual_shape = language_without_weights(config), None, None
        if config.model.visual_input != "none":
            key = repr(config.vision)
            in_model = config.uses_image and (config.trains_vision or not config.vision.cache)
            if in_model or key not in self._widths:
                encoder, self._widths[key] = vision_without_weights(config)
                vision = encoder if in_model else None
            visual_shape = (1, self._widths[key])  # no parameter depends on the number of visual tokens
        with torch.device("meta"), torch.no_grad():
            return build_model(config, Backbones(language, vision), visual_shape, answers)


def _vocabulary_size(data: DataConfig, task: str) -> int | None:
    """Answers that the head chooses among; None where the data are not here."""
    data = replace(data, validation=None, test=data.train)
    recipe_waits = recipe_of(data) is not None and not (Path(data.root) / STAMP).exists()
    if recipe_waits or missing_files(data, images=False):
        return None
    try:
        return len(TASKS.load(task).answers(data, read_splits(data, images=False)[data.train]))
    except DataError:
        return None
