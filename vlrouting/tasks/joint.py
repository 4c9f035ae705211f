"""The joint model of a point: its bottlenecks attached, its head and projector initialised. Imports no Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from vlrouting.backbones.language import enable_gradient_checkpointing
from vlrouting.backbones.load import Backbones
from vlrouting.backbones.location import BackboneError
from vlrouting.backbones.vision import VisionEncoder
from vlrouting.bottleneck import Routed, attach, stored_places
from vlrouting.bottleneck.fingerprint import weight_fingerprint
from vlrouting.config import ARCHITECTURES, ExperimentConfig
from vlrouting.config.bottleneck import BIASES, EVERYTHING, LAYER_NORMS
from vlrouting.experiment import UserError
from vlrouting.models.joint_model import JointModel
from vlrouting.selection import Selection


def build_model(
    config: ExperimentConfig,
    backbones: Backbones,
    visual_shape: tuple[int, int] | None,
    outputs: int,
    selection: Selection | None = None,
) -> JointModel:
    """The joint model of a point, initialised from the seed alone.

    Args:
        config: the point.
        backbones: changed in place.
        visual_shape: (V, Dv) of an example's features; None for the text-only baseline.
        outputs: of the head; 0 where text is generated.
        selection: the targets, as an artifact has them. Default: the bottlenecks' own, or the selector's choice.

    Raises:
        UserError: the bottlenecks do not fit the models, or a vision tower that trains has no activation checkpointing.
    """
    torch.manual_seed(config.seed)
    try:
        routed = attach_tower(backbones.language.model, config, "language", selection)
        if backbones.vision is not None and config.trains_vision:
            backbones.vision.routed = attach_tower(backbones.vision.model, config, "vision", selection)
    except ValueError as error:
        raise UserError(f"bottleneck: {error}") from None
    architecture: type[JointModel] = ARCHITECTURES.load(config.architecture)
    model = architecture(routed, visual_shape, config.model, backbones.vision, outputs=outputs)
    if config.train.gradient_checkpointing:
        enable_gradient_checkpointing(backbones.language.model)
        if backbones.vision is not None and config.trains_vision:
            _checkpoint_vision(backbones.vision)
    return model


def _checkpoint_vision(encoder: VisionEncoder) -> None:
    try:
        encoder.enable_gradient_checkpointing()
    except BackboneError as error:
        raise UserError(str(error)) from None


def attach_tower(model: nn.Module, config: ExperimentConfig, tower: str, selection: Selection | None) -> Routed:
    """Attach the bottlenecks of one tower.

    Raises:
        ValueError: they do not fit the model.
    """
    chosen = {name: each for name, each in config.named_bottlenecks.items() if each.tower == tower}
    unfreeze = list(config.model.unfreeze)
    if tower == "vision":  # patterns are names of the language model's parameters
        unfreeze = [entry for entry in unfreeze if entry in (LAYER_NORMS, BIASES, EVERYTHING)]
    elif not chosen:  # `layer_norms` are those beside bottlenecks, which are all in the other tower
        unfreeze = [entry for entry in unfreeze if entry != LAYER_NORMS]
    tasks = tuple(config.per_dataset)
    if selection is None:
        return attach(model, chosen, unfreeze=unfreeze, tasks=tasks)
    more = selection.unfreeze if tower == "language" else selection.vision_unfreeze
    unfreeze += [entry for entry in more if entry not in unfreeze]
    places = {name: targets for name, targets in selection.places.items() if name in chosen}
    return attach(model, chosen, places=places, unfreeze=unfreeze, tasks=tasks)


def described_backbones(backbones: Backbones, model: JointModel, config: ExperimentConfig) -> dict[str, Any]:
    """Name, revision and fingerprint of the frozen models in the joint model, as adapter_config.json has them."""
    language, vision = backbones.language, backbones.vision
    found: dict[str, Any] = {
        "backbone": {
            "name": config.language.name,
            "revision": language.revision,
            "fingerprint": weight_fingerprint(model.language),
        }
    }
    if vision is not None:
        fingerprint = weight_fingerprint(vision.model)
        found["vision"] = {"name": vision.name, "revision": vision.revision, "fingerprint": fingerprint}
    return found


_UNFREEZE = ("unfreeze", "vision_unfreeze")


def stored_selection(stored: Mapping[str, Any]) -> Selection | None:
    """What trained, as an artifact has it; None for schema version 1, which does not say."""
    places = stored_places(stored)
    return None if places is None else Selection(places, *(stored.get(key) or () for key in _UNFREEZE))
