"""What is examined: the points of an experiment, and the surroundings that they will run in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from vlrouting.config import ExperimentConfig
from vlrouting.doctor.finding import Finding
from vlrouting.experiment import Point, RunDirectory

Made = TypeVar("Made")
SLURM = "slurm"
LOCAL = "local"
PROCESS = "process"
LAUNCHERS = (LOCAL, SLURM, PROCESS)
"""Of `vlrouting sweep`."""


@dataclass(frozen=True)
class Surroundings:
    """Where and how the points are going to run."""

    runs: Path | None = None
    """Folder of the run directories; None where there is no telling."""
    launcher: str | None = None
    """`local`, `slurm` or `process`; None for srun inside of a SLURM job, for this machine elsewhere."""
    gpu_memory: float | None = None
    """GiB of the GPUs that the points will run on, where they are not here."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    starting: bool = False
    """Asked by a rank of the point as it starts, rather than by a user beforehand."""
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
        """What `make` gives, made once for each key: the points of a sweep share most of what is looked at."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made


@dataclass(frozen=True)
class Sweep:
    """The points of an experiment."""

    name: str
    points: tuple[Point, ...]
    where: Surroundings

    def directory(self, point: Point) -> RunDirectory | None:
        """A point's run directory; None where the folder of the runs is not known."""
        return None if self.where.runs is None else RunDirectory(self.where.runs / self.name / point.name)

    def open_points(self) -> list[Point]:
        """Points that are not complete."""
        directories = {point.name: self.directory(point) for point in self.points}
        return [point for point in self.points if not ((run := directories[point.name]) and run.is_complete())]


PointLook = Callable[[ExperimentConfig, Surroundings], Iterable[Finding]]
SweepLook = Callable[[Sweep], Iterable[Finding]]


def each_point(look: PointLook) -> SweepLook:
    """The check of one point, done for each; a finding carries the point's name."""

    def look_at_all(sweep: Sweep) -> Iterator[Finding]:
        for point in sweep.points:
            for finding in look(point.config, sweep.where):
                yield replace(finding, points=(point.name,))

    return look_at_all
