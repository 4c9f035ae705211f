"""A cluster: how its scheduler, SLURM, is asked for machines, and what a job needs before it can start there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vlrouting.config.problem import Problem, at_least, one_of

GPU_REQUESTS = ("gpus_per_node", "gres")
DERIVED = (
    *("array", "chdir", "cpus-per-task", "error", "gpus", "gpus-per-node", "gpus-per-task", "gres", "hold", "input"),
    *("job-name", "mem", "no-requeue", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "parsable"),
    *("partition", "account", "qos", "constraint", "requeue", "signal", "time", "wait", "wrap"),
)
"""Options of sbatch that the experiment decides, or another field of this file: a second one would contradict it."""
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<fields>\d+(?::\d+){0,2})")
_MEMORY = re.compile(r"\d+[KMGT]?", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST_SIGNAL_SECONDS = 65535
"""What `sbatch --signal` takes."""


@dataclass
class ClusterConfig:
    """A file of `experiments/cluster/`. How many machines and devices a point gets is not said here: that is
    `train.nodes` and `train.devices` of the experiment."""

    partition: str | None = None
    """Partition to submit to. Default: the scheduler's own."""
    account: str | None = None
    """Account that is charged."""
    qos: str | None = None
    """Quality of service."""
    time: str | None = None
    """Time limit of one start of a point, in quotes: "12:00:00", "2-00:00:00", or minutes, "90". A point that needs
    longer saves, returns to the queue and resumes. Default: the partition's."""
    memory: str | None = None
    """Memory per node: 64G. Default: the scheduler's."""
    cpus_per_task: int = 4
    """CPU cores per process, so per GPU; also the number of threads (OMP_NUM_THREADS) of each process."""
    constraint: str | None = None
    """Feature that nodes must have: a100, "a100|h100"."""
    gpus: bool = True
    """Whether the nodes have GPUs. Then a point gets `train.devices` of them per node, unless its train.accelerator is
    cpu."""
    gpu_request: str = "gpus_per_node"
    """How GPUs are asked for: `gpus_per_node` (--gpus-per-node=4) or, on older clusters, `gres` (--gres=gpu:4)."""
    gpu_type: str | None = None
    """A kind of GPU, where the cluster tells them apart: a100."""
    modules: list[str] = field(default_factory=list)
    """Environment modules to load first: cuda/12.4."""
    setup: list[str] = field(default_factory=list)
    """Shell lines to run then, on the first node of a point: source activate, cp to a local disk. A line that fails
    ends the attempt."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables, taken literally: NCCL_SOCKET_IFNAME: ib0. What the shell is to fill in belongs in `setup`:
    export HF_HOME=$SCRATCH/hf."""
    sbatch: list[str] = field(default_factory=list)
    """More options of sbatch, each as it is written there: --exclusive, --mail-type=FAIL."""
    srun_options: str | None = None
    """Shell text: more options of srun. A container of pyxis: --container-image=/images/torch.sqsh."""
    command_prefix: str | None = None
    """Shell text that stands before the command of each process. A container of Apptainer:
    apptainer exec --nv --bind $PWD /images/torch.sif."""
    python: str | None = None
    """Interpreter of the processes; inside a container, the one there. Default: the one that submits."""
    max_points_at_once: int | None = None
    """How many points may run at the same time. Default: as many as the scheduler lets."""
    retries: int = 3
    """How many failures and deaths of a point are let pass before it is given up. Preemptions are not counted."""
    signal_seconds: int = 120
    """Seconds before the time limit (and before a preemption, where the cluster gives notice) at which a point is told
    to save and stop."""

    def problems(self) -> list[Problem]:
        """What is wrong with the file."""
        found = one_of("gpu_request", self.gpu_request, GPU_REQUESTS) + at_least("retries", self.retries, 0)
        found += at_least("cpus_per_task", self.cpus_per_task, 1) + at_least("signal_seconds", self.signal_seconds, 1)
        if self.max_points_at_once is not None:
            found += at_least("max_points_at_once", self.max_points_at_once, 1)
        if self.memory is not None and not _MEMORY.fullmatch(self.memory):
            found.append(Problem(("memory",), f"'{self.memory}' is no amount of memory", "write 64G or 64000M"))
        for key in (
            "partition",
            "account",
            "qos",
            "constraint",
            "gpu_type",
            "python",
            "srun_options",
            "command_prefix",
        ):
            value = getattr(self, key)
            if value is not None and (not value.strip() or "\n" in value):
                found.append(Problem((key,), "is to be one line of text", "leave it out, or null, for none"))
        found += [
            Problem((f"environment.{name}",), "is no name of a variable")
            for name in self.environment
            if not _is_name(name)
        ]
        return found + self._time_problems() + self._sbatch_problems()

    def _time_problems(self) -> list[Problem]:
        if self.signal_seconds > LONGEST_SIGNAL_SECONDS:
            message = f"{self.signal_seconds} is above {LONGEST_SIGNAL_SECONDS}, the most that SLURM takes"
            return [Problem(("signal_seconds",), message)]
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
            option = re.fullmatch(r"--([a-z][a-z0-9-]*)(?:[= ].*)?", line)
            if option is None:
                message = f"'{line}' is no option in its long form, such as --exclusive or --mail-type=FAIL"
                found.append(Problem(("sbatch",), message))
            elif option[1] in DERIVED:
                message = f"--{option[1]} is written from the experiment or from another key"
                found.append(Problem(("sbatch",), message, "take it out"))
        return found


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
