"""A cluster: how its scheduler, SLURM, is asked for machines, and what a job needs before it can start there."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.limits import Form, OneLine, OneOf, Range
from vlrouting.config.problem import Problem

GPU_REQUESTS = ("gpus_per_node", "gres")
DERIVED = (
    *("array", "chdir", "cpus-per-task", "error", "gpus", "gpus-per-node", "gpus-per-task", "gres", "hold", "input"),
    *("job-name", "mem", "no-requeue", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "parsable"),
    *("partition", "account", "qos", "constraint", "requeue", "signal", "time", "wait", "wrap"),
)
"""Options of sbatch that the experiment decides, or another field of this file: a second one would contradict it."""
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<fields>\d+(?::\d+){0,2})")
_OPTION = re.compile(r"--([a-z][a-z0-9-]*)(?:[= ][^\x00-\x1f\x7f]*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST_SIGNAL_SECONDS = 65535
"""The most that `sbatch --signal` takes."""


@dataclass
class ClusterConfig:
    """A file of `experiments/cluster/`. How many machines and devices a point gets is not said here: that is
    `train.nodes` and `train.devices` of the experiment."""

    partition: OneLine | None = None
    """Partition to submit to. Default: the scheduler's own."""
    account: OneLine | None = None
    """Account that is charged."""
    qos: OneLine | None = None
    """Quality of service."""
    time: str | None = None
    """Time limit of one start of a point, in quotes: "12:00:00", "2-00:00:00", or minutes, "90". A point that needs
    longer saves, returns to the queue and resumes. Default: the partition's."""
    memory: Annotated[str, Form(r"\d+[KMGTkmgt]?", "is no amount of memory", "write 64G or 64000M")] | None = None
    """Memory per node: 64G. Default: the scheduler's."""
    cpus_per_task: Annotated[int, Range(least=1, most=4096)] = 4
    """CPU cores per process, so per GPU; also the number of threads (OMP_NUM_THREADS) of each process."""
    constraint: OneLine | None = None
    """Feature that nodes must have: a100, "a100|h100"."""
    gpus: bool = True
    """Whether the nodes have GPUs. Then a point gets `train.devices` of them per node, unless its train.accelerator is
    cpu."""
    gpu_request: Annotated[str, OneOf(GPU_REQUESTS)] = "gpus_per_node"
    """How GPUs are asked for: `gpus_per_node` (--gpus-per-node=4) or, on older clusters, `gres` (--gres=gpu:4)."""
    gpu_type: Annotated[str, Form(r"[\w.-]+", "is no kind of GPU", "write a100")] | None = None
    """A kind of GPU, where the cluster tells them apart: a100."""
    modules: list[OneLine] = field(default_factory=list)
    """Environment modules to load first: cuda/12.4."""
    setup: list[str] = field(default_factory=list)
    """Shell lines to run then, on the first node of a point: source activate, cp to a local disk. A line that fails
    ends the attempt."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables, taken literally: NCCL_SOCKET_IFNAME: ib0. What the shell is to fill in belongs in `setup`:
    export HF_HOME=$SCRATCH/hf."""
    sbatch: list[str] = field(default_factory=list)
    """More options of sbatch, each as it is written there: --exclusive, --mail-type=FAIL."""
    srun_options: OneLine | None = None
    """Shell text: more options of srun. A container of pyxis: --container-image=/images/torch.sqsh."""
    command_prefix: OneLine | None = None
    """Shell text that stands before the command of each process. A container of Apptainer:
    apptainer exec --nv --bind $PWD /images/torch.sif."""
    python: OneLine | None = None
    """Interpreter of the processes; inside a container, the one there. Default: the one that submits."""
    max_points_at_once: Annotated[int, Range(least=1, most=1_000_000)] | None = None
    """How many points may run at the same time. Default: as many as the scheduler lets."""
    retries: Annotated[int, Range(least=0, most=1_000_000)] = 3
    """How many failures and deaths of a point are let pass before it is given up. Preemptions are not counted."""
    signal_seconds: Annotated[int, Range(least=1, most=LONGEST_SIGNAL_SECONDS)] = 120
    """Seconds before the time limit (and before a preemption, where the cluster gives notice) at which a point is told
    to save and stop."""

    def problems(self) -> list[Problem]:
        """What is wrong with the file."""
        found = [
            Problem((key, "gpus"), "has no effect without GPUs", "set gpus: true, or take it out")
            for key, default in (("gpu_type", None), ("gpu_request", GPU_REQUESTS[0]))
            if not self.gpus and getattr(self, key) != default
        ]
        found += [
            Problem((f"environment.{name}",), "is no name of a variable")
            for name in self.environment
            if not _is_name(name)
        ]
        if any(line.lstrip().startswith("#SBATCH") for text in self.setup for line in text.splitlines()):
            message = "has a line #SBATCH, which is read at the top of a script only"
            found.append(Problem(("setup",), message, "write the option under sbatch"))
        return found + self._time_problems() + self._sbatch_problems()

    def _time_problems(self) -> list[Problem]:
        if self.time is None:
            return []
        seconds = seconds_of(self.time)
        if seconds is None:
            message = f"'{self.time}' is no time limit"
            return [Problem(("time",), message, 'write "12:00:00", "2-00:00:00", or minutes, "90"')]
        if seconds <= self.signal_seconds:
            message = f"{self.signal_seconds} seconds leave nothing of the time limit {self.time}"
            return [Problem(("signal_seconds", "time"), message)]
        return []

    def _sbatch_problems(self) -> list[Problem]:
        found = []
        for line in self.sbatch:
            option = _sbatch_option(line)
            if option is None:
                message = f"{line!r} is no option in its long form, such as --exclusive or --mail-type=FAIL"
                found.append(Problem(("sbatch",), message, "write one option an entry"))
            elif option in DERIVED:
                message = f"--{option} is written from the experiment or from another key"
                found.append(Problem(("sbatch",), message, "take it out"))
        return found


def _sbatch_option(line: str) -> str | None:
    """Name of the one option that a line gives to sbatch; None when it gives none, or more than one."""
    match = _OPTION.fullmatch(line)
    try:
        words = shlex.split(line) if match is not None else []
    except ValueError:  # a quote that is not closed
        return None
    alone = len(words) == 1 or (len(words) == 2 and "=" not in words[0] and not words[1].startswith("-"))
    return match[1] if match is not None and alone else None


def _is_name(variable: str) -> bool:
    return _VARIABLE.fullmatch(variable) is not None


def seconds_of(limit: str) -> int | None:
    """A time limit as SLURM writes them: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S. None when it is none of them."""
    match = _TIME.fullmatch(limit)
    if match is None:
        return None
    fields = [int(part) for part in match["fields"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = [*fields, 0, 0][:3]
        return ((int(match["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds
    if len(fields) == 3:
        return (fields[0] * 60 + fields[1]) * 60 + fields[2]
    return fields[0] * 60 + (fields[1] if len(fields) == 2 else 0)
