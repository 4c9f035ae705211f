"""The two backbones of a configuration, with their transforms applied."""

from __future__ import annotations

from dataclasses import dataclass

from vlrouting.backbones.language import LanguageModel, load_language_model
from vlrouting.backbones.vision import VisionEncoder, load_vision_encoder
from vlrouting.config import ARCHITECTURES, ExperimentConfig
from vlrouting.transforms import apply_transforms


@dataclass(frozen=True)
class Backbones:
    """The frozen models of a point."""

    language: LanguageModel
    vision: VisionEncoder | None
    """None where the joint model encodes no images."""


def load_backbones(config: ExperimentConfig) -> Backbones:
    """Both models, frozen.

    Raises:
        BackboneError: a model cannot be loaded, or is of the wrong kind.
    """
    return Backbones(load_language(config), load_vision(config) if config.uses_image else None)


def load_language(config: ExperimentConfig) -> LanguageModel:
    """The language model, of the class that the architecture needs. Raises BackboneError."""
    language = load_language_model(config.language, ARCHITECTURES.facts(config.architecture).language)
    apply_transforms(language.model, config.language.transforms)
    return language


def load_vision(config: ExperimentConfig) -> VisionEncoder:
    """The vision encoder. Raises BackboneError."""
    encoder = load_vision_encoder(config.vision)
    done = apply_transforms(encoder.model, config.vision.transforms)
    encoder.transforms = repr(done) if done else ""
    return encoder
