"""Puts one point together: data module, model and task, from a configuration or from an artifact."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vlrouting.backbones.language import LanguageModel, enable_gradient_checkpointing, load_language_model
from vlrouting.config import DATASETS, METRICS, ExperimentConfig
from vlrouting.data.datasets.evenly_spaced import EvenlySpaced
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.batch import Collate
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.data.loading.text_batch import TextCollate
from vlrouting.experiment import UserError
from vlrouting.metrics.score import Score
from vlrouting.models.decoder import TextGenerationModel
from vlrouting.models.encoder_classifier import QuestionAnsweringModel
from vlrouting.models.joint_model import VisualLanguageModel
from vlrouting.tasks.scored import ScoredTask
from vlrouting.tasks.text_generation import Writing
from vlrouting.tasks.vqa_classification import VQAClassification
from vlrouting.training.inputs import SharedInputs, Visual


@dataclass(frozen=True)
class Built:
    """A point, ready to run."""

    data: VisionLanguageDataModule
    task: ScoredTask
    artifact_config: dict[str, Any]
    """What adapter_config.json says beside the tensors."""
    test_split_size: int
    """Examples of the test split, of which `evaluate.limit` may have left some out."""

    @property
    def test_score(self) -> Score:
        """The score of the test split."""
        return self.task.score["test"]


def build_model(
    config: ExperimentConfig, language: LanguageModel, answers: Sequence[str], visual: Visual
) -> VisualLanguageModel:
    """The model of a point, initialised from the seed alone.

    Raises:
        UserError: the bottlenecks do not fit the language model.
    """
    torch.manual_seed(config.seed)
    model: VisualLanguageModel
    try:
        if config.generates:
            model = TextGenerationModel(language.model, config.bottleneck, visual.shape, config.model, visual.encoder)
        else:
            model = QuestionAnsweringModel(
                language.model, config.bottleneck, len(answers), visual.shape, config.model, visual.encoder
            )
    except ValueError as error:
        raise UserError(f"bottleneck: {error}") from None
    if config.train.gradient_checkpointing:
        enable_gradient_checkpointing(language.model)
    return model


def artifact_config(
    config: ExperimentConfig, language: LanguageModel, visual: Visual, answers: Sequence[str]
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
    examples = inputs.examples(config.data, images=config.model.visual_input == "image")
    answers = () if config.generates else inputs.vocabulary(config.data, examples).answers
    visual = inputs.visual(config, examples)
    scored = _scored_examples(config, examples)
    language = load_language_model(config.language, causal=config.generates)
    data = _data_module(config, inputs, {**examples, **scored}, language, visual)
    data.setup()
    steps = total_steps(config, data.steps_per_epoch)
    model = build_model(config, language, answers, visual)
    if model.standardize is not None and visual.statistics is not None:
        model.standardize.measure(*visual.statistics)
    task = _task(config, model, language, answers, steps, scored, data)
    task.train()  # Lightning leaves every module in the mode that it finds it in
    size = len(examples[config.data.test])
    return Built(data, task, artifact_config(config, language, visual, answers), size)


def _scored_examples(
    config: ExperimentConfig, examples: Mapping[str, Sequence[Example]]
) -> dict[str, Sequence[Example]]:
    """The validation and the test split, or as many of their examples as `evaluate.limit` allows, evenly spaced."""
    splits = [name for name in (config.data.validation, config.data.test) if name is not None]
    return {name: evenly_spaced(examples[name], config.evaluate.limit) for name in splits}


def evenly_spaced(examples: Sequence[Example], limit: int | None) -> Sequence[Example]:
    """At most `limit` of the examples, in their order."""
    if limit is None or limit >= len(examples):
        return examples
    return EvenlySpaced(examples, limit)


def _data_module(
    config: ExperimentConfig,
    inputs: SharedInputs,
    examples: dict[str, Sequence[Example]],
    language: LanguageModel,
    visual: Visual,
) -> VisionLanguageDataModule:
    data, train = config.data, config.train
    learnt, evaluation = None, None
    if config.generates:
        learnt = inputs.learnt_examples(config)
        prefixed = visual.shape is not None
        collate: Any = TextCollate(language.tokenizer, visual.source, data, prefixed, learn=True)
        evaluation = TextCollate(language.tokenizer, visual.source, data, prefixed, learn=False)
    else:
        vocabulary = inputs.vocabulary(data, examples)
        collate = Collate(language.tokenizer, vocabulary, visual.source, data.max_text_tokens, data.prompt)
    return VisionLanguageDataModule(
        data,
        train.batch_size,
        config.evaluate.batch_size,
        train.workers,
        config.seed,
        collate,
        evaluation,
        train.accumulate,
        examples,
        learnt,
    )


def _task(
    config: ExperimentConfig,
    model: VisualLanguageModel,
    language: LanguageModel,
    answers: Sequence[str],
    steps: int,
    scored: Mapping[str, Sequence[Example]],
    data: VisionLanguageDataModule,
) -> ScoredTask:
    score = _scores(config, scored)
    if isinstance(model, TextGenerationModel):
        return Writing(
            model, language.tokenizer, config.generate, config.train, steps, config.seed, score, data.learnt_tokens
        )
    assert isinstance(model, QuestionAnsweringModel)
    return VQAClassification(model, answers, config.train, steps, config.seed, score)


def _scores(config: ExperimentConfig, scored: Mapping[str, Sequence[Example]]) -> dict[str, Score]:
    """How the predictions of validation and test are scored."""
    scores: dict[str, Score] = {}
    for name, split in (("validation", config.data.validation), ("test", config.data.test)):
        if split is not None:
            try:
                scores[name] = METRICS.load(DATASETS.facts(config.data.name).metric)(scored[split], config.evaluate)
            except DataError:
                raise
            except ValueError as error:
                raise UserError(f"data.{name}: the split '{split}' cannot be scored: {error}") from error
    return scores


def total_steps(config: ExperimentConfig, per_epoch: int) -> int:
    """Optimizer steps of the whole run."""
    return config.train.max_steps if config.train.max_steps is not None else (config.train.epochs or 1) * per_epoch
