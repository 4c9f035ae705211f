"""Puts one point together: data module, joint model and tasks, from a configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vlrouting.backbones.load import Backbones, load_language
from vlrouting.config import METRICS, TASKS, ExperimentConfig, Problem
from vlrouting.config.environment import as_written
from vlrouting.config.training import TEST, VALIDATION
from vlrouting.data.content_hash import combined_hash
from vlrouting.data.datasets.evenly_spaced import evenly_spaced
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.data.loading.sampled_answers import SampledAnswers
from vlrouting.data.loading.source import DatasetSource
from vlrouting.experiment import UserError
from vlrouting.metrics.score import Score
from vlrouting.models.joint_model import JointModel
from vlrouting.selection import Selection
from vlrouting.tasks.joint import build_model, described_backbones
from vlrouting.tasks.scored import TaskModule
from vlrouting.tasks.task import Task, TaskInputs
from vlrouting.training.inputs import SharedInputs, Visual
from vlrouting.training.selected import SelectionFile, run_selector


@dataclass(frozen=True)
class Built:
    """A point, ready to run."""

    data: VisionLanguageDataModule
    task: TaskModule
    artifact_config: dict[str, Any]
    """What adapter_config.json says beside the tensors."""
    test_split_sizes: dict[str, int]
    """By dataset: examples of the split that is scored at the end, of which `evaluate.limit` may have left some out."""
    content_hashes: dict[str, str]
    """Of the training splits (`train`) and of the examples that are scored at the end (`test`)."""

    @property
    def test_scores(self) -> Mapping[str, Score]:
        """By dataset, the score of the split that is scored at the end."""
        return self.task.score[self.task.final_split]

    @property
    def test_score(self) -> Score:
        """That of the first dataset: of a run with one, that."""
        return next(iter(self.test_scores.values()))


@dataclass(frozen=True)
class _Dataset:
    """One dataset of a point, read."""

    config: ExperimentConfig
    """The point as the dataset has it."""
    examples: Mapping[str, Sequence[Example]]
    """By split."""
    scored: Mapping[str, Sequence[Example]]
    """`validation` and `test`, as far as they are scored."""
    training: Sequence[Example]
    """What an epoch goes through."""
    sampled: SampledAnswers | None
    """Draws its answers."""
    task: Task
    parts: TaskInputs
    visual: Visual

    @property
    def test_split_size(self) -> int:
        """Examples of the split that is scored at the end."""
        return len(self.examples[getattr(self.config.data, self.config.evaluate.split)])

    @property
    def images(self) -> int:
        """Images of an example."""
        return len(self.examples[self.config.data.test][0].images)


def build_point(
    config: ExperimentConfig,
    inputs: SharedInputs,
    selection: Selection | None = None,
    selection_file: SelectionFile | None = None,
) -> Built:
    """Read, compute or load all that a point needs.

    Args:
        config: the point.
        inputs: shared by the points of the sweep.
        selection: the targets, as an artifact has them. Default: the bottlenecks' own, or the selector's choice.
        selection_file: keeps the selector's choice; None chooses again.

    Raises:
        DataError: the data are missing or broken.
        BackboneError: a backbone cannot be loaded.
        UserError: the bottlenecks do not fit the models, or there are no public answers to score.
    """
    examples = {name: inputs.examples(view.data, images=view.uses_image) for name, view in config.per_dataset.items()}
    for name, view in config.per_dataset.items():
        _require_answers(view, examples[name], f" of {name}" if config.datasets else "")
    visuals = inputs.visuals(config, examples)
    first = next(iter(visuals.values()))
    backbones = Backbones(load_language(config), first.encoder)
    datasets = {
        name: _dataset(view, inputs, examples[name], visuals[name], backbones.language.tokenizer)
        for name, view in config.per_dataset.items()
    }
    data = _data_module(config, datasets)
    parts = {name: each.parts for name, each in datasets.items()}
    if config.select is not None and selection is None:
        choose = partial(run_selector, config, parts, backbones, first.shape, data=data, device=inputs.device)
        selection = choose() if selection_file is None else selection_file.choice(choose)
    answers = next(iter(parts.values())).answers
    model = build_model(config, backbones, first.shape, len(answers), selection)
    model.visual_tokens = {name: each.visual.shape[0] for name, each in datasets.items() if each.visual.shape}
    if model.standardize is not None and first.statistics is not None:
        model.standardize.measure(*first.statistics)
    task_models = {name: each.task.module(model, each.parts) for name, each in datasets.items()}
    module = TaskModule(config, task_models, total_steps(config, data.steps_per_epoch), _scores(config, datasets))
    module.train()  # Lightning leaves every module in the mode that it finds it in
    artifact_config = {
        "vision": first.record,
        **described_backbones(backbones, model, config),
        "visual_shape": first.shape,
        "images": next(iter(datasets.values())).images,
        "experiment": as_written(dataclasses.asdict(config)),
        "answers": list(answers),
        **_described_datasets(config, datasets),
        **_attached(model),
    }
    sizes = {name: each.test_split_size for name, each in datasets.items()}
    return Built(data, module, artifact_config, sizes, _content_hashes(config, inputs, datasets))


def _dataset(
    view: ExperimentConfig,
    inputs: SharedInputs,
    examples: Mapping[str, Sequence[Example]],
    visual: Visual,
    tokenizer: Any,
) -> _Dataset:
    parts = TaskInputs(view, tokenizer, inputs.answers(view, examples), visual.source, visual.shape is not None)
    scored, training = _scored_examples(view, examples), inputs.training_examples(view, examples)
    sampled = inputs.sampled_answers(view, training)
    return _Dataset(view, examples, scored, training, sampled, TASKS.load(view.task), parts, visual)


def _described_datasets(config: ExperimentConfig, datasets: Mapping[str, _Dataset]) -> dict[str, Any]:
    """What adapter_config.json says of each of several datasets."""
    if not config.datasets:
        return {}
    described = {name: {"visual_shape": each.visual.shape, "images": each.images} for name, each in datasets.items()}
    return {"datasets": described}


def _content_hashes(config: ExperimentConfig, inputs: SharedInputs, datasets: Mapping[str, _Dataset]) -> dict[str, str]:
    final = config.evaluate.split
    found = {
        name: {
            "train": inputs.content_hash(each.config, "train", each.examples[each.config.data.train]),
            "test": inputs.content_hash(each.config, f"{final} {config.evaluate.limit}", each.scored[final]),
        }
        for name, each in datasets.items()
    }
    if not config.datasets:
        return next(iter(found.values()))
    return {key: combined_hash({name: hashes[key] for name, hashes in found.items()}) for key in ("train", "test")}


def _attached(model: JointModel) -> dict[str, Any]:
    """What was attached where, in both towers, as adapter_config.json has it."""
    record = model.routed.attached()
    vision = model.vision.routed.attached() if model.vision is not None and model.vision.routed is not None else {}
    for key in ("bottlenecks", "places"):
        record[key] |= vision.get(key, {})
    return record


def _require_answers(config: ExperimentConfig, examples: Mapping[str, Sequence[Example]], whose: str) -> None:
    for name in (config.data.train, config.data.validation):
        if name is not None and not any(example.labels or example.answers for example in examples[name]):
            message = f"the split '{name}'{whose} has no answers, so it can neither train nor validate; choose another"
            raise DataError(message)


def _scored_examples(
    config: ExperimentConfig, examples: Mapping[str, Sequence[Example]]
) -> dict[str, Sequence[Example]]:
    """`validation` (where there is one) and, unless the validation split takes its place, `test`: the split, or as many
    of its examples as `evaluate.limit` allows, evenly spaced."""
    splits = {VALIDATION: config.data.validation}
    if config.evaluate.split == TEST:
        splits[TEST] = config.data.test
    limit = config.evaluate.limit
    return {name: evenly_spaced(examples[split], limit) for name, split in splits.items() if split is not None}


def _data_module(config: ExperimentConfig, datasets: Mapping[str, _Dataset]) -> VisionLanguageDataModule:
    def missing() -> list[Problem]:
        return [
            problem.placed(partial(config.key_of, name))
            for name, each in datasets.items()
            for problem in missing_files(each.config.data, images=each.config.uses_image)
        ]

    return VisionLanguageDataModule(
        train=config.train,
        evaluation_batch_size=config.evaluate.batch_size,
        seed=config.seed,
        sources=[_source(config, name, each) for name, each in datasets.items()],
        missing_files=missing,
    )


def _source(config: ExperimentConfig, name: str, dataset: _Dataset) -> DatasetSource:
    view, task, parts = dataset.config, dataset.task, dataset.parts
    return DatasetSource(
        name=name,
        batch_size=view.train.batch_size,
        collate=task.collate(parts, training=True),
        evaluation_collate=task.collate(parts, training=False),
        training_examples=dataset.training,
        validation_examples=dataset.scored.get(VALIDATION),
        test_examples=dataset.scored[view.evaluate.split],
        sampled=dataset.sampled,
        batch_size_key=f"datasets.{name}.batch_size" if config.datasets else "train.batch_size",
    )


def _scores(config: ExperimentConfig, datasets: Mapping[str, _Dataset]) -> dict[str, dict[str, Score]]:
    """By split and dataset, how the predictions are scored."""
    scores: dict[str, dict[str, Score]] = {}
    for name, dataset in datasets.items():
        metric: type[Score] = METRICS.load(dataset.config.metric)
        for split, examples in dataset.scored.items():
            try:
                scores.setdefault(split, {})[name] = metric(examples, config.evaluate)
            except DataError:
                raise
            except ValueError as error:
                key, named = config.key_of(name, f"data.{split}"), getattr(dataset.config.data, split)
                raise UserError(f"{key}: the split '{named}' cannot be scored: {error}") from error
    return scores


def total_steps(config: ExperimentConfig, per_epoch: int) -> int:
    """Optimizer steps of the whole run."""
    return config.train.max_steps if config.train.max_steps is not None else (config.train.epochs or 1) * per_epoch
