"""What a point reads: each of its datasets, with its task, as batches and as scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlrouting.config import METRICS, TASKS, ExperimentConfig
from vlrouting.config.training import TEST, VALIDATION
from vlrouting.data.content_hash import combined_hash
from vlrouting.data.datasets.evenly_spaced import evenly_spaced
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.sampled_answers import SampledAnswers
from vlrouting.data.loading.source import DatasetSource
from vlrouting.experiment import UserError
from vlrouting.metrics.score import Score
from vlrouting.tasks.task import Task, TaskInputs
from vlrouting.training.inputs import SharedInputs, Visual


@dataclass(frozen=True)
class PointDataset:
    """One dataset of a point: what was read of it, and how it becomes batches and scores."""

    name: str
    """In the point."""
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

    def source(self, batch_size_key: str) -> DatasetSource:
        """For the data module. `batch_size_key`: where the batch size is given."""
        return DatasetSource(
            name=self.name,
            batch_size=self.config.train.batch_size,
            collate=self.task.collate(self.parts, training=True),
            evaluation_collate=self.task.collate(self.parts, training=False),
            training_examples=self.training,
            validation_examples=self.scored.get(VALIDATION),
            test_examples=self.scored[self.config.evaluate.split],
            sampled=self.sampled,
            batch_size_key=batch_size_key,
        )


def read_examples(config: ExperimentConfig, inputs: SharedInputs) -> dict[str, dict[str, Sequence[Example]]]:
    """The examples of a point by dataset and split.

    Raises:
        DataError: the data are missing or broken, or a split has no answers to learn or to validate with.
    """
    found = {}
    for name, view in config.per_dataset.items():
        found[name] = inputs.examples(view.data, images=view.uses_image)
        _require_answers(view, found[name], f" of {name}" if config.datasets else "")
    return found


def point_dataset(
    name: str,
    view: ExperimentConfig,
    inputs: SharedInputs,
    examples: Mapping[str, Sequence[Example]],
    *,
    visual: Visual,
    tokenizer: Any,
) -> PointDataset:
    """One dataset of a point.

    Args:
        name: of the dataset.
        view: the point as the dataset has it.
        inputs: shared by the points of the sweep.
        examples: by split.
        visual: where its images come from.
        tokenizer: of the language model.

    Raises:
        DataError: the answers to choose among cannot be read or built.
    """
    return PointDataset(
        name,
        view,
        examples,
        scored=_scored_examples(view, examples),
        training=(training := inputs.training_examples(view, examples)),
        sampled=inputs.sampled_answers(view, training),
        task=TASKS.load(view.task),
        parts=TaskInputs(view, tokenizer, inputs.answers(view, examples), visual.source),
        visual=visual,
    )


def content_hashes(
    config: ExperimentConfig, inputs: SharedInputs, datasets: Mapping[str, PointDataset]
) -> dict[str, str]:
    """Of the training splits (`train`) and of the examples that are scored at the end (`test`)."""
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


def point_scores(config: ExperimentConfig, datasets: Mapping[str, PointDataset]) -> dict[str, dict[str, Score]]:
    """By split and dataset, how the predictions are scored.

    Raises:
        UserError: a split cannot be scored.
    """
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
