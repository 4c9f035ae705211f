"""Puts one point together: data module, model and task, from a configuration or from an artifact."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from vlrouting.backbones.language import LanguageModel, enable_gradient_checkpointing, load_language_model
from vlrouting.config import ExperimentConfig
from vlrouting.data.datamodule import VQADataModule
from vlrouting.data.vocabulary import AnswerVocabulary
from vlrouting.experiment import UserError
from vlrouting.launch.inputs import SharedInputs, Visual
from vlrouting.metrics.vqa import VQAAccuracy
from vlrouting.models.question_answering import QuestionAnsweringModel
from vlrouting.tasks.vqa import VQAClassification


@dataclass(frozen=True)
class Built:
    """A point, ready to run."""

    data: VQADataModule
    task: VQAClassification
    artifact_config: dict[str, Any]
    """What adapter_config.json says beside the tensors."""


def build_model(
    config: ExperimentConfig, language: LanguageModel, answers: int, visual: Visual
) -> QuestionAnsweringModel:
    """The model of a point, initialised from the seed alone.

    Raises:
        UserError: the bottlenecks do not fit the language model.
    """
    torch.manual_seed(config.seed)
    try:
        model = QuestionAnsweringModel(
            language.model, config.bottleneck, answers, visual.shape, config.model, visual.encoder
        )
    except ValueError as error:
        raise UserError(f"bottleneck: {error}") from None
    if config.train.gradient_checkpointing:
        enable_gradient_checkpointing(language.model)
    return model


def artifact_config(
    config: ExperimentConfig, language: LanguageModel, visual: Visual, answers: tuple[str, ...]
) -> dict[str, Any]:
    """Everything beside the tensors that is needed to use a trained point, on any machine."""
    return {
        "backbone": {"name": config.language.name, "revision": language.revision},
        "vision": visual.record,
        "visual_shape": visual.shape,
        "experiment": dataclasses.asdict(config),
        "answers": list(answers),
    }


def build_point(config: ExperimentConfig, inputs: SharedInputs) -> Built:
    """Read, compute or load all that a point needs.

    Raises:
        DataError: the data are missing or broken.
        BackboneError: a backbone is not to be had.
        UserError: the bottlenecks do not fit the language model, or there are no public answers to score.
    """
    looks_at_images = config.model.visual_input == "image"
    examples = inputs.examples(config.data, images=looks_at_images)
    vocabulary: AnswerVocabulary = inputs.vocabulary(config.data, examples)
    visual = inputs.visual(config, examples)
    language = load_language_model(config.language)
    data = VQADataModule(
        config.data,
        config.train.batch_size,
        config.evaluate.batch_size,
        config.train.workers,
        config.seed,
        language.tokenizer,
        vocabulary,
        visual.source,
        examples,
    )
    data.setup()
    batches = _batches(config, len(data.train_sampler))
    data.plan_run(batches)
    metrics = {
        name: VQAAccuracy(data.answer_types(split), data.question_types(split), config.evaluate.vqa_variant)
        for name, split in (("validation", config.data.validation), ("test", config.data.test))
        if split is not None
    }
    model = build_model(config, language, len(vocabulary), visual)
    if model.standardize is not None and visual.statistics is not None:
        model.standardize.measure(*visual.statistics)
    steps = batches // config.train.accumulate
    task = VQAClassification(model, vocabulary.answers, config.train, steps, config.seed, metrics)
    task.train()  # Lightning leaves every module in the mode that it finds it in
    return Built(data, task, artifact_config(config, language, visual, vocabulary.answers))


def _batches(config: ExperimentConfig, per_epoch: int) -> int:
    """Batches of the whole run, a multiple of those of an optimizer step."""
    train = config.train
    if train.max_steps is not None:
        return train.max_steps * train.accumulate
    return (train.epochs or 1) * per_epoch // train.accumulate * train.accumulate
