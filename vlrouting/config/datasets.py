"""One of several datasets that a run trains on together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from vlrouting.config.data import DataConfig
from vlrouting.config.limits import Count, OneOf
from vlrouting.config.problem import Problem
from vlrouting.config.tasks import TASKS
from vlrouting.config.training import GenerateConfig


@dataclass
class NamedDatasetConfig(DataConfig):
    """A dataset of `datasets:`: the keys of `data`, and what is different for it."""

    task: Annotated[str, OneOf(TASKS)] | None = None
    """What is trained on it. Default: `task` of the experiment."""
    batch_size: Count | None = None
    """Examples per optimizer step of this dataset. Default: `train.batch_size`."""
    generate: GenerateConfig | None = None
    """How its texts are generated. Default: `generate` of the experiment."""

    @property
    def data(self) -> DataConfig:
        """The keys of `data` alone."""
        return DataConfig(**{field.name: getattr(self, field.name) for field in fields(DataConfig)})

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        generate = [] if self.generate is None else self.generate.problems()
        return super().problems() + [problem.below("generate") for problem in generate]
