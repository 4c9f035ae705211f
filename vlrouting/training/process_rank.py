"""Where this process stands in the group that trains a point together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One rank of a process group; by default a process by itself."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    """Its number on its machine."""
    slurm: bool = False
    """Whether srun started it."""
    group: str = ""
    """The same text for all processes of a start, another one for another start."""

    @property
    def first(self) -> bool:
        """Whether this process writes what one process writes for all."""
        return self.rank == 0

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Place:
        """Told by whoever started the group: a local launcher's RANK, WORLD_SIZE and LOCAL_RANK, or srun's variables.

        The former count first: a local launcher may run inside an allocation.
        """
        if "RANK" in environment:
            return Place(
                int(environment["RANK"]),
                int(environment["WORLD_SIZE"]),
                int(environment.get("LOCAL_RANK", "0")),
                group=environment.get("VLROUTING_GROUP", ""),
            )
        if "SLURM_PROCID" in environment and "SLURM_STEP_ID" in environment:
            return Place(
                int(environment["SLURM_PROCID"]),
                int(environment["SLURM_NTASKS"]),
                int(environment["SLURM_LOCALID"]),
                slurm=True,
                group=".".join(environment.get(f"SLURM_{name}", "") for name in ("JOB_ID", "RESTART_COUNT", "STEP_ID")),
            )
        return Place()


ALONE = Place()


def scheduler_job(environment: Mapping[str, str] = os.environ) -> str | None:
    """`123` or, of a job array, `123_4`; None where no scheduler started this process."""
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment.get("SLURM_JOB_ID")
