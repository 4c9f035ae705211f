"""Puts one point together: data module, joint model and tasks, from a configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from vlrouting.backbones.load import Backbones, load_language
from vlrouting.config import ExperimentConfig, Problem
from vlrouting.config.environment import as_written
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.metrics.score import Score
from vlrouting.models.joint_model import JointModel
from vlrouting.selection import Selection
from vlrouting.tasks.joint import build_model, described_backbones
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.point_data import PointDataset, content_hashes, point_dataset, point_scores, read_examples
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
    examples = read_examples(config, inputs)
    visuals = inputs.visuals(config, examples)
    first = next(iter(visuals.values()))
    backbones = Backbones(load_language(config), first.encoder)
    datasets = {
        name: point_dataset(
            name, view, inputs, examples[name], visual=visuals[name], tokenizer=backbones.language.tokenizer
        )
        for name, view in config.per_dataset.items()
    }
    data = _data_module(config, datasets)
    parts = {name: each.parts for name, each in datasets.items()}
    tokens = {name: visual.shape[0] for name, visual in visuals.items() if visual.shape}
    if config.select is not None and selection is None:
        folder = None if selection_file is None else selection_file.folder
        given: dict[str, Any] = {"visual_tokens": tokens, "data": data, "device": inputs.device, "folder": folder}
        given["statistics"] = first.statistics
        choose = partial(run_selector, config, parts, backbones, first.shape, **given)
        selection = choose() if selection_file is None else selection_file.choice(choose)
    answers = next(iter(parts.values())).answers
    model = build_model(config, backbones, first.shape, len(answers), selection)
    model.visual_tokens = tokens
    if model.standardize is not None and first.statistics is not None:
        model.standardize.measure(*first.statistics)
    task_models = {name: each.task.module(model, each.parts) for name, each in datasets.items()}
    module = TaskModule(config, task_models, total_steps(config, data.steps_per_epoch), point_scores(config, datasets))
    module.train()  # Lightning leaves every module in the mode that it finds it in
    sizes = {name: each.test_split_size for name, each in datasets.items()}
    artifact_config = _artifact_config(config, backbones, model, datasets)
    return Built(data, module, artifact_config, sizes, content_hashes(config, inputs, datasets))


def _artifact_config(
    config: ExperimentConfig, backbones: Backbones, model: JointModel, datasets: Mapping[str, PointDataset]
) -> dict[str, Any]:
    """What adapter_config.json says; of the images, what holds for the first dataset, and for each of several."""
    first = next(iter(datasets.values()))
    record = {
        "vision": first.visual.record,
        **described_backbones(backbones, model, config),
        "visual_shape": first.visual.shape,
        "images": first.images,
        "experiment": as_written(dataclasses.asdict(config.with_architecture())),
        "answers": list(first.parts.answers),
        **_attached(model),
    }
    if config.datasets:
        each = {name: {"visual_shape": of.visual.shape, "images": of.images} for name, of in datasets.items()}
        record["datasets"] = each
    return record


def _attached(model: JointModel) -> dict[str, Any]:
    """What was attached where, in both towers, as adapter_config.json has it."""
    record = model.routed.attached()
    vision = model.vision.routed.attached() if model.vision is not None and model.vision.routed is not None else {}
    for key in ("bottlenecks", "places"):
        record[key] |= vision.get(key, {})
    return {**record, "vision_unfreeze": vision.get("unfreeze", [])}


def _data_module(config: ExperimentConfig, datasets: Mapping[str, PointDataset]) -> VisionLanguageDataModule:
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
        sources=[each.source(_batch_size_key(config, name)) for name, each in datasets.items()],
        missing_files=missing,
    )


def _batch_size_key(config: ExperimentConfig, dataset: str) -> str:
    return f"datasets.{dataset}.batch_size" if config.datasets else "train.batch_size"


def total_steps(config: ExperimentConfig, per_epoch: int) -> int:
    """Optimizer steps of the whole run."""
    return config.train.max_steps if config.train.max_steps is not None else (config.train.epochs or 1) * per_epoch
