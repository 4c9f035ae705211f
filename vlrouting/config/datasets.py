"""One of several datasets that a run trains on together, and what is wrong with it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from vlrouting.config.data import DATASETS, DataConfig
from vlrouting.config.limits import Count, OneOf
from vlrouting.config.names import NAME_RULE, is_safe_name
from vlrouting.config.problem import Problem
from vlrouting.config.tasks import TASKS
from vlrouting.config.training import VALIDATION, GenerateConfig

if TYPE_CHECKING:
    from vlrouting.config.experiment import ExperimentConfig


@dataclass
class NamedDatasetConfig(DataConfig):
    """A dataset of `datasets:`: the keys of `data`, and what is different for it."""

    task: Annotated[str, OneOf(TASKS)] | None = None
    """What is trained on it. Default: `task` of the experiment."""
    batch_size: Count | None = None
    """Examples per optimizer step of this dataset. Default: `train.batch_size`."""
    generate: GenerateConfig | None = None
    """How its texts are generated, in place of the whole section `generate` of the experiment: what is not given here
    has its default. Default: the experiment's."""

    @property
    def data(self) -> DataConfig:
        """The keys of `data` alone."""
        return DataConfig(**{field.name: getattr(self, field.name) for field in fields(DataConfig)})

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        generate = [] if self.generate is None else self.generate.problems()
        return super().problems() + [problem.below("generate") for problem in generate]


def name_problems(config: ExperimentConfig) -> list[Problem]:
    """Names that cannot name files and scores, and datasets that cannot be trained together."""
    found = [
        Problem((f"datasets.{name}",), f"'{name}' names files: {NAME_RULE}")
        for name in config.datasets
        if not is_safe_name(name)
    ]
    for name, dataset in config.datasets.items() if len(config.datasets) > 1 else ():
        task = dataset.task or config.task
        if not TASKS.facts(task).generates:
            keys = (config.key_of(name, "task"), *([] if dataset.task else [f"datasets.{name}"]))
            message = f"{task} chooses among answers of its own, and datasets share a model that generates text"
            found.append(Problem(keys, message, f"set datasets.{name}.task: vqa_generation"))
    return found


def dataset_problems(view: ExperimentConfig, key_of: Callable[[str], str]) -> list[Problem]:
    """What cannot go together in a point as one dataset has it.

    Args:
        view: of `ExperimentConfig.per_dataset`.
        key_of: where its values are given.
    """
    found = [problem.below("train").placed(key_of) for problem in view.train.batch_problems()]
    validation = key_of("data.validation")
    if view.evaluate.checkpoint == "best" and view.data.validation is None:
        message = "best needs a validation split"
        found.append(Problem(("evaluate.checkpoint", validation), message, f"set {validation}"))
    if view.train.early_stopping is not None and view.data.validation is None:
        message = "early stopping needs a validation split"
        found.append(Problem(("train.early_stopping", validation), message, f"set {validation}"))
    if view.evaluate.split == VALIDATION:
        found += _scored_on_validation(view, key_of)
    fitting = [name for name in DATASETS if view.task in DATASETS.facts(name).tasks]
    fitting += TASKS.facts(view.task).datasets
    if view.data.name not in fitting:
        message = f"{view.task} is for {', '.join(fitting) or 'no dataset here'}, not for {view.data.name}"
        found.append(Problem((key_of("task"), key_of("data.name")), message))
    return found


def _scored_on_validation(view: ExperimentConfig, key_of: Callable[[str], str]) -> list[Problem]:
    key = key_of("data.validation")
    keys = ("evaluate.split", key)
    if view.tuned is not None:
        message = "the tuning chooses on the validation split, so the points have to be scored on the test split"
        return [Problem(keys[:1], message, "take it out")]
    validation, test = view.data.validation, view.data.test
    if validation is None:
        return [Problem(keys, "there is no validation split to score on", f"set {key}")]
    files = view.data.splits
    if validation == test or (validation in files and files[validation] == files.get(test)):
        message = "the validation split is the test split, which is for the report alone"
        return [Problem((*keys, key_of("data.test")), message, "name a split of its own")]
    return []
