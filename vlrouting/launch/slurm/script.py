"""The batch script of a submission: a job array over points. Text only; nothing is written or asked for here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config.cluster import ClusterConfig
from vlrouting.experiment import Point, UserError


@dataclass(frozen=True)
class Shape:
    """What a point needs; the job array asks for it once per task."""

    nodes: int
    devices: int
    """Processes per node, and GPUs where they are used."""
    gpus: bool
    """Whether GPUs are asked for."""


@dataclass(frozen=True)
class Submission:
    """Everything that the script depends on."""

    experiment: str
    runs: tuple[Path, ...]
    """Run directories in the order of the array, seen from `folder`."""
    shape: Shape
    cluster: ClusterConfig
    folder: Path
    """Where the job runs: the folder in which `vlrouting sweep` was typed."""
    output: Path
    """Folder for what the scripts print, seen from `folder`."""
    python: str
    """The interpreter that submits."""
    after: tuple[str, ...] = ()
    """Jobs that have to end before, however they end."""

    @property
    def job_name(self) -> str:
        """Never `bash` or `interactive`, which Lightning takes for an interactive session."""
        return f"vlrouting-{self.experiment.replace('/', '-')}"


def shape_of(points: Sequence[Point], cluster: ClusterConfig) -> Shape:
    """What each of the points needs.

    Raises:
        UserError: they differ in it, so that they do not fit into one job array, or need GPUs that are not there.
    """
    shapes: dict[Shape, str] = {}
    for point in points:
        train = point.config.train
        if train.accelerator == "gpu" and not cluster.gpus:
            raise UserError(f"{point.name}: train.accelerator is gpu, but the cluster file says gpus: false")
        shape = Shape(train.nodes, train.devices, cluster.gpus and train.accelerator != "cpu")
        shapes.setdefault(shape, point.name)
    if len(shapes) > 1:
        listed = "; ".join(f"{name}: {_spelled(shape)}" for shape, name in shapes.items())
        raise UserError(
            "the points of one submission must need the same nodes and devices (train.nodes, train.devices, "
            f"train.accelerator), but {listed}. Submit them one shape at a time with --point."
        )
    return next(iter(shapes))


def _spelled(shape: Shape) -> str:
    return f"{shape.nodes} nodes x {shape.devices} {'GPUs' if shape.gpus else 'processes'}"


def batch_script(submission: Submission) -> str:
    """The text for sbatch.

    Raises:
        UserError: a path has a % in it, which SLURM would replace, or a line break, which would begin another option.
    """
    for path in (*submission.runs, submission.output):
        if "%" in str(path):
            raise UserError(f"{path}: SLURM reads % in the name of a file as a pattern; use a folder without it")
    for option in _options(submission):
        if any(ord(letter) < 32 for letter in option):
            raise UserError(f"{option!r}: an option of sbatch is one line; use a folder without control characters")
    options = "".join(f"#SBATCH {option}\n" for option in _options(submission))
    runs = "".join(f"  {shlex.quote(str(run))}\n" for run in submission.runs)
    return (
        f"#!/bin/bash\n{options}\nruns=(\n{runs})\n"
        + _BEGIN.format(after=_after(submission))
        + _WATCHED
        + _body(submission)
    )


_BEGIN = """\
run=${{runs[$SLURM_ARRAY_TASK_ID]}}
exec >>"$run/log.txt" 2>&1
task="${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
echo "== $(date '+%F %T') task $task, start $((${{SLURM_RESTART_COUNT:-0}} + 1)), on $SLURM_JOB_NODELIST"
begun=$(grep -cs '"begin"' "$run/attempts.jsonl")

# The processes that srun started save and stop after a signal. This shell ignores it, waits for them and decides
# whether the point is requeued.
trap ':' TERM USR2
decide() {{
  trap '' TERM USR2
  exec {after} "$run" "$1" "${{begun:-0}}"
}}
"""
_WATCHED = """\
# Runs one rank, and notes which signal killed it: no other process can tell. The line is that of `Attempts.fail`.
watched=$(cat <<'END'
trap : INT TERM USR1 USR2
"$@"
status=$?
case $status in
132 | 134 | 135 | 136 | 137 | 139)
  signal=SIG$(kill -l "$status")
  start=$(printf '"host": "%s", "job": "%s", "group": "%s"' "$SLURMD_NODENAME" "$task" \\
    "$SLURM_JOB_ID.$SLURM_RESTART_COUNT.$SLURM_STEP_ID")
  end=$(printf '"outcome": "killed", "step": null, "rank": %s, "signal": "%s"' "$SLURM_PROCID" "$signal")
  reason="rank $SLURM_PROCID of $SLURM_NTASKS was killed by $signal"
  printf '\\n{"event": "fail", %s, %s, "reason": "%s"}\\n' "$start" "$end" "$reason" >>"${@: -1}/attempts.jsonl"
  ;;
esac
exit "$status"
END
)
export task
"""
_ON_SET_UP_ERROR = """\
trap 'status=$?; echo "set-up failed with status $status: $BASH_COMMAND"; decide "$status"' ERR"""


def _after(submission: Submission) -> str:
    return f"{shlex.quote(submission.python)} -m vlrouting.launch.slurm.after"


def _options(submission: Submission) -> Iterator[str]:
    cluster, shape = submission.cluster, submission.shape
    at_once = f"%{cluster.max_points_at_once}" if cluster.max_points_at_once else ""
    yield f"--job-name={shlex.quote(submission.job_name)}"
    yield f"--array=0-{len(submission.runs) - 1}{at_once}"
    yield f"--nodes={shape.nodes}"
    yield f"--ntasks-per-node={shape.devices}"
    yield f"--cpus-per-task={cluster.cpus_per_task}"
    if shape.gpus:
        kind = f"{cluster.gpu_type}:" if cluster.gpu_type else ""
        yield (
            f"--gres=gpu:{kind}{shape.devices}"
            if cluster.gpu_request == "gres"
            else (f"--gpus-per-node={kind}{shape.devices}")
        )
    for name, value in (
        ("partition", cluster.partition),
        ("account", cluster.account),
        ("qos", cluster.qos),
        ("time", cluster.time),
        ("mem", cluster.memory),
        ("constraint", cluster.constraint),
    ):
        if value is not None:
            yield f"--{name}={shlex.quote(value)}"
    yield from cluster.sbatch
    yield f"--chdir={shlex.quote(str(submission.folder))}"
    yield f"--output={shlex.quote(str(submission.output / '%A_%a.out'))}"
    yield "--open-mode=append"
    yield "--requeue"
    if submission.after:
        yield f"--dependency=afterany:{':'.join(submission.after)}"
    yield f"--signal=USR2@{cluster.signal_seconds}"  # not USR1, which some versions of NCCL catch


def _body(submission: Submission) -> str:
    cluster = submission.cluster
    python = shlex.quote(cluster.python or submission.python)
    command = [
        "srun --kill-on-bad-exit=1",
        f"--cpus-per-task={cluster.cpus_per_task}",  # from 22.05 on, srun does not take it from the job
        '--output="$run/log.txt" --open-mode=append',
        *([cluster.srun_options] if cluster.srun_options else []),
        'bash -c "$watched" rank',
        *([cluster.command_prefix] if cluster.command_prefix else []),
        f'{python} -m vlrouting.launch.worker "$run"',
    ]
    return "\n".join([*_set_up(cluster), "", " \\\n  ".join(command), 'decide "$?"', ""])


def _set_up(cluster: ClusterConfig) -> list[str]:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in cluster.environment.items()]
    lines = [*_modules(cluster.modules), *cluster.setup]
    checked = [_ON_SET_UP_ERROR, *lines, "trap - ERR"] if lines else []
    return ["", f"export OMP_NUM_THREADS={cluster.cpus_per_task}", *exports, *checked]


def _modules(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    # A batch script is no login shell, so that `module` may not be there yet.
    return [
        "type module >/dev/null 2>&1 || source /etc/profile",
        f"module load {' '.join(shlex.quote(name) for name in names)}",
    ]
