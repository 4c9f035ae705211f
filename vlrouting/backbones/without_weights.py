"""The two models from their configurations alone, on torch's `meta` device: shapes without numbers."""

from __future__ import annotations

from dataclasses import replace

import torch
from transformers import AutoConfig

from vlrouting.backbones.frozen import freeze
from vlrouting.backbones.language import AUTO_CLASSES, LanguageModel, QuietLoading, source_of, why_not_loaded
from vlrouting.backbones.location import BackboneError
from vlrouting.backbones.vision import VisionEncoder, load_vision_encoder
from vlrouting.config import ARCHITECTURES, ExperimentConfig
from vlrouting.transforms import apply_transforms


def language_without_weights(config: ExperimentConfig) -> LanguageModel:
    """The language model of the configuration with its transforms, without tokenizer. Its configuration comes from the
    folder, from the hub's local cache or from the hub.

    Raises:
        BackboneError: the configuration cannot be had, or a transform needs the weights.
    """
    source, where = source_of(config.language)
    kind = ARCHITECTURES.facts(config.architecture).language
    try:
        with QuietLoading(), torch.device("meta"), torch.no_grad():
            model_config = AutoConfig.from_pretrained(source, **where)
            model = AUTO_CLASSES[kind].from_config(model_config, dtype=getattr(torch, config.language.dtype))
    except (OSError, ValueError) as error:
        raise BackboneError(why_not_loaded(config.language.name, error)) from None
    _apply("language", model, config)
    freeze(model)
    return LanguageModel(model, None, "")


def vision_without_weights(config: ExperimentConfig) -> tuple[VisionEncoder, int]:
    """The vision encoder of the configuration with its transforms, and the width Dv of its features.

    Raises:
        BackboneError: there is no such model, or it cannot be built without numbers.
    """
    try:
        with torch.device("meta"), torch.no_grad():
            encoder = load_vision_encoder(replace(config.vision, weights="random"))
            _apply("vision", encoder.model, config)
            width = encoder(torch.zeros(1, 3, *encoder.image_size)).shape[-1]
    except BackboneError:
        raise
    except Exception as error:  # some networks compute with numbers while they are built
        name = config.vision.name
        raise BackboneError(f"vision.name: {name} cannot be built without weights ({type(error).__name__})") from None
    return encoder, int(width)


def _apply(tower: str, model: torch.nn.Module, config: ExperimentConfig) -> None:
    transforms = getattr(config, tower).transforms
    try:
        apply_transforms(model, transforms)
    except (RuntimeError, NotImplementedError) as error:  # of torch: there are no numbers
        raise BackboneError(
            f"{tower}.transforms: {', '.join(transforms)} needs the weights ({type(error).__name__}), so the "
            "parameters can be counted in run.json only"
        ) from None
