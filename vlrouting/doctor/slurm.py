"""SLURM: what a job was given against what the point wants; outside of a job, whether the scheduler answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.devices import gpus_for
from vlrouting.doctor.subject import PlannedSweep, RunContext

PLACE = "SLURM"
PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "sinfo")
SECONDS = 20
"""That the scheduler has to answer."""
_INTERACTIVE = ("bash", "interactive")


def scheduler(sweep: PlannedSweep) -> Iterator[Finding]:
    """The scheduler's programs are there, and it answers."""
    if not sweep.context.elsewhere:
        return
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        remedy = "run this on a login node of the cluster, or load its module (`module load slurm`)"
        yield Finding(FAULT, PLACE, f"not on PATH: {', '.join(lacking)}", remedy)
        return
    remedy = "try `sinfo` by hand; if the cluster is up, ask those who look after it"
    try:
        asked = subprocess.run(["sinfo", "-h", "-o", "%P"], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        yield Finding(FAULT, PLACE, f"the scheduler did not answer `sinfo` in {SECONDS} seconds", remedy)
        return
    except OSError as error:
        yield Finding(FAULT, PLACE, f"`sinfo` does not start ({error.strerror or error})", remedy)
        return
    partitions = asked.stdout.split()
    if asked.returncode or not partitions:
        said = next(iter(asked.stderr.strip().splitlines()), "no partition is listed")
        yield Finding(FAULT, PLACE, f"the scheduler does not answer `sinfo` ({said})", remedy)
    else:
        yield Finding(OK, PLACE, f"the scheduler answers; partitions: {', '.join(partitions)}")


def allocation(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """The job has the nodes, the tasks and the GPUs that the point wants."""
    if not context.in_job:
        return
    findings = [*_tasks(config, context), *_gpus(config, context), *_way(config, context)]
    yield from findings
    if not findings:
        job, train = context.environment["SLURM_JOB_ID"], config.train
        yield Finding(OK, PLACE, f"job {job} has what the point wants: {train.nodes} nodes x {train.devices} tasks")


def _tasks(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    train = config.train
    wanted = {
        "SLURM_NNODES": ("--nodes", "train.nodes", train.nodes),
        "SLURM_NTASKS_PER_NODE": ("--ntasks-per-node", "train.devices", train.devices),
    }
    fits = True
    for variable, (option, key, number) in wanted.items():
        given = context.environment.get(variable, str(number))
        if given != str(number):
            fits = False
            remedy = f"set {key}={given}, or ask for {option}={number}"
            yield Finding(FAULT, PLACE, f"{variable} is {given}, and {key} is {number}", remedy)
    tasks = context.environment.get("SLURM_NTASKS", str(train.processes))
    if fits and tasks != str(train.processes):
        remedy = f"ask for --nodes={train.nodes} --ntasks-per-node={train.devices}"
        found = f"SLURM_NTASKS is {tasks}, and train.nodes x train.devices is {train.processes}"
        yield Finding(FAULT, PLACE, found, remedy)
    elif fits and train.processes > 1 and "SLURM_NTASKS_PER_NODE" not in context.environment:
        remedy = f"ask for --ntasks-per-node={train.devices} instead of --ntasks={tasks}"
        yield Finding(FAULT, PLACE, "SLURM_NTASKS_PER_NODE is not set, which Lightning insists on", remedy)


def _gpus(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    given = context.environment.get("SLURM_GPUS_ON_NODE")
    if given is None or not given.isdigit() or config.train.accelerator == "cpu":
        return
    if int(given) < config.train.devices and (config.train.accelerator == "gpu" or gpus_for(config, context)):
        remedy = f"set train.devices={given}, or ask for --gpus-per-node={config.train.devices}"
        found = f"SLURM_GPUS_ON_NODE is {given}, and train.devices is {config.train.devices}"
        yield Finding(FAULT, PLACE, found, remedy)
    elif int(given) > config.train.devices:
        remedy = f"set train.devices={given}, or ask for --gpus-per-node={config.train.devices}"
        found = f"SLURM_GPUS_ON_NODE is {given}, and train.devices {config.train.devices}: GPUs stay idle"
        yield Finding(WARNING, PLACE, found, remedy)


def _way(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """How the processes are started."""
    name = context.environment.get("SLURM_JOB_NAME")
    if name in _INTERACTIVE and config.train.processes > 1:
        found = f"the job is called '{name}', which Lightning takes for an interactive one, and checks nothing of SLURM"
        yield Finding(WARNING, PLACE, found, "give it another name: --job-name=vlrouting")
    if "SLURM_STEP_ID" not in context.environment and config.train.processes > 1:
        # A user may well look from the batch script itself, before srun starts anything.
        level = FAULT if context.starting else WARNING
        found = f"this process was not started by srun, and the point wants {config.train.processes} of them"
        yield Finding(level, PLACE, found, "put `srun` in front of the command")
