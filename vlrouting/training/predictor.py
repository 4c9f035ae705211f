"""A trained artifact put to use: answers questions about images, writes captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from vlrouting.backbones.feature_cache import PixelSource
from vlrouting.backbones.language import LanguageModel, load_language_model
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.bottleneck import ArtifactError
from vlrouting.bottleneck.artifact import load_trained_tensors, read_artifact
from vlrouting.config import ExperimentConfig
from vlrouting.data.example import Example
from vlrouting.data.images import load_image
from vlrouting.data.loading.batch import Batch, Collate
from vlrouting.data.loading.text_batch import TextCollate
from vlrouting.experiment import UserError
from vlrouting.experiment.plugins import import_plugins
from vlrouting.models.decoder import TextGenerationModel
from vlrouting.models.encoder_classifier import QuestionAnsweringModel
from vlrouting.models.joint_model import VisualLanguageModel
from vlrouting.tasks.text_generation import written_texts
from vlrouting.training.assembly import build_model
from vlrouting.training.inputs import Visual


@dataclass
class Trained:
    """A trained point.

    Attributes:
        artifact: its folder.
        source: decodes images; None for a point that sees none.
        answers: the vocabulary of a model that classifies.
    """

    artifact: Path
    config: ExperimentConfig
    model: VisualLanguageModel
    language: LanguageModel
    source: PixelSource | None
    answers: list[str]

    @torch.inference_mode()
    def answer(self, images: Sequence[Path], question: str, top: int = 5) -> list[tuple[str, float | None]]:
        """Answers to a question about an image (NLVR2: about two), best first, with their probabilities (sigmoid:
        each answer by itself). A model that writes gives one answer, without a probability.

        Raises:
            DataError: an image is missing or broken.
            UserError: the artifact is not of a question answering task.
        """
        if self.config.task == "captioning":
            raise UserError(f"{self.artifact}: writes captions; use `vlrouting caption`")
        if isinstance(self.model, TextGenerationModel):
            return [(self._write([(images, question)])[0], None)]
        assert isinstance(self.model, QuestionAnsweringModel)
        data = self.config.data
        collate = Collate(self.language.tokenizer, None, self.source, data.max_text_tokens, data.prompt)
        batch = collate([_example(images, question)])
        logits = self.model(batch.input_ids, batch.attention_mask, batch.pixels)  # (1, A)
        values, indices = logits[0].sigmoid().topk(min(top, len(self.answers)))
        return [(self.answers[i], p) for i, p in zip(indices.tolist(), values.tolist(), strict=True)]

    @torch.inference_mode()
    def caption(self, images: Sequence[Path]) -> list[str]:
        """One caption per image.

        Raises:
            DataError: an image is missing or broken.
            UserError: the artifact is not of a captioning task.
        """
        if self.config.task != "captioning":
            raise UserError(f"{self.artifact}: answers questions; use `vlrouting predict`")
        return self._write([([image], "") for image in images])

    def _write(self, asked: Sequence[tuple[Sequence[Path], str]]) -> list[str]:
        assert isinstance(self.model, TextGenerationModel)
        prefixed = self.model.visual_shape is not None
        collate = TextCollate(self.language.tokenizer, self.source, self.config.data, prefixed, learn=False)
        size = self.config.evaluate.batch_size
        examples = [_example(images, question) for images, question in asked]
        texts: list[str] = []
        for start in range(0, len(examples), size):
            batch: Batch = collate(examples[start : start + size])
            tokens: Tensor = self.model.generate(
                batch.input_ids,
                batch.attention_mask,
                self.config.generate,
                self.language.tokenizer.eos_token_id,
                batch.pixels,
            )
            texts += written_texts(self.language.tokenizer, tokens)
        return texts


def _example(images: Sequence[Path], text: str) -> Example:
    for image in images:
        load_image(image)  # also where the point does not look at it: a wrong path is a mistake all the same
    return Example(0, tuple(images), text, {})


def load_trained(artifact: Path) -> Trained:
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
    language = load_language_model(config.language, causal=config.generates)
    vision = load_vision_encoder(config.vision) if config.model.visual_input == "image" else None
    shape = tuple(stored["visual_shape"]) if stored["visual_shape"] else None
    model = build_model(config, language, stored["answers"], Visual(None, shape, vision, None))  # type: ignore[arg-type]
    load_trained_tensors(model, tensors, str(artifact))
    source = PixelSource(vision.transform, load_image) if vision is not None else None
    return Trained(artifact, config, model.eval(), language, source, stored["answers"])


def experiment_of(stored: dict[str, Any]) -> ExperimentConfig:
    """The configuration inside an artifact."""
    merged = OmegaConf.merge(OmegaConf.structured(ExperimentConfig), stored["experiment"])
    config = OmegaConf.to_object(merged)
    assert isinstance(config, ExperimentConfig)
    return config
