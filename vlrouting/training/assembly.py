"""Puts one point together: data module, joint model and task, from a configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vlrouting.backbones.load import Backbones, load_language
from vlrouting.config import METRICS, TASKS, ExperimentConfig
from vlrouting.config.environment import as_written
from vlrouting.config.training import TEST, VALIDATION
from vlrouting.data.datasets.evenly_spaced import evenly_spaced
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.experiment import UserError
from vlrouting.metrics.score import Score
from vlrouting.models.joint_model import JointModel
from vlrouting.selection import Selection
from vlrouting.tasks.joint import build_model, described_backbones
from vlrouting.tasks.scored import TaskModule
from vlrouting.tasks.task import Task, TaskInputs
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.selected import SelectionFile, run_selector


@dataclass(frozen=True)
class Built:
    """A point, ready to run."""

    data: VisionLanguageDataModule
    task: TaskModule
    artifact_config: dict[str, Any]
    """What adapter_config.json says beside the tensors."""
    test_split_size: int
    """Examples of the split that is scored at the end, of which `evaluate.limit` may have left some out."""
    content_hashes: dict[str, str]
    """Of the training split (`train`) and of the examples that are scored at the end (`test`)."""

    @property
    def test_score(self) -> Score:
        """The score of the split that is scored at the end."""
        return self.task.score[self.task.final_split]


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
    task: Task = TASKS.load(config.task)
    examples = inputs.examples(config.data, images=config.uses_image)
    _require_answers(config, examples)
    visual, answers = inputs.visual(config, examples), inputs.answers(config, examples)
    backbones = Backbones(load_language(config), visual.encoder)
    parts = TaskInputs(config, backbones.language.tokenizer, answers, visual.source, visual.shape is not None)
    scored = _scored_examples(config, examples)
    data = _data_module(task, parts, inputs.training_examples(config, examples), scored)
    steps = total_steps(config, data.steps_per_epoch)
    if config.select is not None and selection is None:
        choose = partial(run_selector, task, parts, backbones, visual.shape, data=data, device=inputs.device)
        selection = choose() if selection_file is None else selection_file.choice(choose)
    model = build_model(config, backbones, visual.shape, len(answers), selection)
    if model.standardize is not None and visual.statistics is not None:
        model.standardize.measure(*visual.statistics)
    module = TaskModule(task.module(model, parts), steps, _scores(config, scored))
    module.train()  # Lightning leaves every module in the mode that it finds it in
    artifact_config = {
        "vision": visual.record,
        **described_backbones(backbones, model, config),
        "visual_shape": visual.shape,
        "images": len(examples[config.data.test][0].images),
        "experiment": as_written(dataclasses.asdict(config.with_architecture())),
        "answers": list(answers),
        **_attached(model),
    }
    final = config.evaluate.split
    hashes = {
        "train": inputs.content_hash(config, "train", examples[config.data.train]),
        "test": inputs.content_hash(config, f"{final} {config.evaluate.limit}", scored[final]),
    }
    return Built(data, module, artifact_config, len(examples[getattr(config.data, final)]), hashes)


def _attached(model: JointModel) -> dict[str, Any]:
    """What was attached where, in both towers, as adapter_config.json has it."""
    record = model.routed.attached()
    vision = model.vision.routed.attached() if model.vision is not None and model.vision.routed is not None else {}
    for key in ("bottlenecks", "places"):
        record[key] |= vision.get(key, {})
    return record


def _require_answers(config: ExperimentConfig, examples: Mapping[str, Sequence[Example]]) -> None:
    for name in (config.data.train, config.data.validation):
        if name is not None and not any(example.labels or example.answers for example in examples[name]):
            raise DataError(f"the split '{name}' has no answers, so it can neither train nor validate; choose another")


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


def _data_module(
    task: Task, parts: TaskInputs, training: Sequence[Example], scored: Mapping[str, Sequence[Example]]
) -> VisionLanguageDataModule:
    return VisionLanguageDataModule(
        train=parts.config.train,
        evaluation_batch_size=parts.config.evaluate.batch_size,
        seed=parts.config.seed,
        collate=task.collate(parts, training=True),
        evaluation_collate=task.collate(parts, training=False),
        training_examples=training,
        validation_examples=scored.get(VALIDATION),
        test_examples=scored[parts.config.evaluate.split],
        missing_files=partial(missing_files, parts.config.data, images=parts.config.uses_image),
    )


def _scores(config: ExperimentConfig, scored: Mapping[str, Sequence[Example]]) -> dict[str, Score]:
    """How the predictions of validation and test are scored."""
    metric: type[Score] = METRICS.load(config.metric)
    scores: dict[str, Score] = {}
    for name, examples in scored.items():
        try:
            scores[name] = metric(examples, config.evaluate)
        except DataError:
            raise
        except ValueError as error:
            split = getattr(config.data, name)
            raise UserError(f"data.{name}: the split '{split}' cannot be scored: {error}") from error
    return scores


def total_steps(config: ExperimentConfig, per_epoch: int) -> int:
    """Optimizer steps of the whole run."""
    return config.train.max_steps if config.train.max_steps is not None else (config.train.epochs or 1) * per_epoch
