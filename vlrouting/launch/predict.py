"""Answers questions about images with a trained artifact; also scores an artifact again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from vlrouting.backbones.language import LanguageModel, load_language_model
from vlrouting.backbones.vision import VisionEncoder, load_vision_encoder
from vlrouting.bottleneck import ArtifactError
from vlrouting.bottleneck.artifact import load_learned_tensors, read_artifact
from vlrouting.config import ExperimentConfig
from vlrouting.data.images import load_image
from vlrouting.experiment.plugins import import_plugins
from vlrouting.launch.build import build_model
from vlrouting.launch.inputs import Visual
from vlrouting.models.question_answering import QuestionAnsweringModel


@dataclass
class Predictor:
    """A trained point, ready to answer.

    Attributes:
        answers: the vocabulary.
        vision: None for a point that sees no image.
    """

    model: QuestionAnsweringModel
    language: LanguageModel
    vision: VisionEncoder | None
    answers: list[str]
    max_text_tokens: int

    @torch.inference_mode()
    def answer(self, image: Path, question: str, top: int = 5) -> list[tuple[str, float]]:
        """The most probable answers with their probabilities (sigmoid: each answer by itself), best first.

        Raises:
            DataError: the image is missing or broken.
        """
        pixels = None
        picture = load_image(image)  # also where the point does not look at it: a wrong path is a mistake all the same
        if self.vision is not None:
            pixels = self.vision.transform(picture).unsqueeze(0)  # (1, 3, H, W)
        tokens = self.language.tokenizer(
            [question], truncation=True, max_length=self.max_text_tokens, return_tensors="pt"
        )
        logits = self.model(tokens["input_ids"], tokens["attention_mask"], pixels=pixels)  # (1, A)
        values, indices = logits[0].sigmoid().topk(min(top, len(self.answers)))
        return [(self.answers[i], p) for i, p in zip(indices.tolist(), values.tolist(), strict=True)]


def load_predictor(artifact: Path) -> Predictor:
    """The model of an artifact that `vlrouting train` wrote, with its frozen backbones.

    Raises:
        ArtifactError: a file is missing or damaged, or a tensor is missing, unexpected or of another shape.
        BackboneError: a frozen backbone is not to be had.
    """
    stored, tensors = read_artifact(artifact)
    if "experiment" not in stored:
        raise ArtifactError(f"{artifact}: holds bottlenecks alone; load it with vlrouting.bottleneck.load")
    config = experiment_of(stored)
    import_plugins(config.plugins)
    language = load_language_model(config.language)
    vision = load_vision_encoder(config.vision) if config.model.visual_input == "image" else None
    shape = tuple(stored["visual_shape"]) if stored["visual_shape"] else None
    model = build_model(config, language, len(stored["answers"]), Visual(None, shape, vision, None))  # type: ignore[arg-type]
    load_learned_tensors(model, tensors, str(artifact))
    return Predictor(model.eval(), language, vision, stored["answers"], config.data.max_text_tokens)


def experiment_of(stored: dict[str, Any]) -> ExperimentConfig:
    """The configuration inside an artifact."""
    merged = OmegaConf.merge(OmegaConf.structured(ExperimentConfig), stored["experiment"])
    config = OmegaConf.to_object(merged)
    assert isinstance(config, ExperimentConfig)
    return config
