"""Which process of the group that trains a point together this is. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ProcessRank:
    """One process of a group; by default a process by itself.

    Attributes:
        rank: number in the group.
        world_size: number of processes.
        local_rank: number on its machine.
        slurm: whether srun started it.
        group: identifies one start of the group; the same in all of its processes.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    slurm: bool = False
    group: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this process writes what one process writes for all."""
        return self.rank == 0

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> ProcessRank:
        """From a local launcher's RANK, WORLD_SIZE and LOCAL_RANK, else from srun's variables: a local launcher may run
        inside an allocation."""
        if "RANK" in environment:
            return ProcessRank(
                rank=int(environment["RANK"]),
                world_size=int(environment["WORLD_SIZE"]),
                local_rank=int(environment.get("LOCAL_RANK", "0")),
                group=environment.get("VLROUTING_GROUP", ""),
            )
        if "SLURM_PROCID" in environment and "SLURM_STEP_ID" in environment:
            return ProcessRank(
                rank=int(environment["SLURM_PROCID"]),
                world_size=int(environment["SLURM_NTASKS"]),
                local_rank=int(environment["SLURM_LOCALID"]),
                slurm=True,
                group=".".join(environment.get(f"SLURM_{name}", "") for name in ("JOB_ID", "RESTART_COUNT", "STEP_ID")),
            )
        return SINGLE_PROCESS


SINGLE_PROCESS = ProcessRank()


def scheduler_job(environment: Mapping[str, str] = os.environ) -> str | None:
    """`123` or, of a job array, `123_4`; None where no scheduler started this process."""
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment.get("SLURM_JOB_ID")
