"""What is checked: the points of an experiment, and the context that they will run in."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import Finding
from vlrouting.experiment import Point, RunDirectory
from vlrouting.experiment.trials import TUNING

Made = TypeVar("Made")
SLURM = "slurm"
LOCAL = "local"
PROCESS = "process"
LAUNCHERS = (LOCAL, SLURM, PROCESS)
"""Of `vlrouting sweep`."""


@dataclass(frozen=True)
class RunContext:
    """Where and how the points are going to run."""

    runs: Path | None = None
    """Folder of the run directories; None where there is no telling."""
    launcher: str | None = None
    """`local`, `slurm` or `process`; None for srun inside of a SLURM job, for this machine elsewhere."""
    gpu_memory: float | None = None
    """GiB of the GPUs that the points will run on, where they are not here."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    starting: bool = False
    """A process of the point checks as it starts, rather than a user beforehand."""
    measure: bool = False
    """Run one training step on this machine."""
    _made: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def in_job(self) -> bool:
        """Whether this process runs inside of a SLURM job that starts the ranks."""
        # A local launcher may work inside an allocation; its variables count first, as in `ProcessRank`.
        apart = self.launcher in (LOCAL, PROCESS) or "RANK" in self.environment
        return "SLURM_JOB_ID" in self.environment and not apart

    @property
    def elsewhere(self) -> bool:
        """Whether the points will run on other machines than this one."""
        return self.launcher == SLURM and not self.in_job

    def once(self, key: Any, make: Callable[[], Made]) -> Made:
        """What `make` gives, made once for each key: the points of a sweep share most of what is checked."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made


@dataclass(frozen=True)
class PlannedSweep:
    """The points of an experiment that are going to run."""

    name: str
    points: tuple[Point, ...]
    context: RunContext
    trials: tuple[Point, ...] = ()
    """Of the tuning, which runs before."""

    @property
    def tuning(self) -> PlannedSweep:
        """The trials as a sweep of their own."""
        return PlannedSweep(f"{self.name}/{TUNING}", self.trials, self.context)

    def directory(self, point: Point) -> RunDirectory | None:
        """A point's run directory; None where the folder of the runs is not known."""
        return None if self.context.runs is None else RunDirectory(self.context.runs / self.name / point.name)

    def open_points(self) -> list[Point]:
        """Points that are not complete."""
        return [point for point in self.points if not ((run := self.directory(point)) and run.is_complete())]


PointCheck = Callable[[ExperimentConfig, RunContext], Iterable[Finding]]
SweepCheck = Callable[[PlannedSweep], Iterable[Finding]]


KeyOf = Callable[[str], str]
"""Where a value of a point as one of its datasets has it is given: see `ExperimentConfig.key_of`."""
DatasetCheck = Callable[[ExperimentConfig, RunContext, KeyOf], Iterable[Finding]]


def for_each_dataset(check: DatasetCheck) -> PointCheck:
    """The check of a point as each of its datasets has it; a finding names its dataset, where there are several."""

    @functools.wraps(check)
    def check_all(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
        for name, view in config.per_dataset.items():
            for finding in check(view, context, functools.partial(config.key_of, name)):
                yield of_dataset(config, name, finding)

    return check_all


def of_dataset(config: ExperimentConfig, name: str, finding: Finding) -> Finding:
    """The finding with the name of its dataset, where the point has several."""
    return replace(finding, looked_at=f"{finding.looked_at} of {name}") if config.datasets else finding


def for_each_point(check: PointCheck) -> SweepCheck:
    """The check of one point, done for each; a finding carries the point's name."""

    @functools.wraps(check)
    def check_all(sweep: PlannedSweep) -> Iterator[Finding]:
        for point in sweep.points:
            for finding in check(point.config, sweep.context):
                yield replace(finding, points=(point.name,))

    return check_all
