"""One point as one process of its group: `python -m vlrouting.launch.worker runs/EXPERIMENT/POINT`.

Launchers start it, srun and the local one, with the same arguments on every rank. Everything it needs is in the run
directory. It tells its launcher by its exit status what to do next.
"""

from __future__ import annotations

import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import torch

from vlrouting.doctor import network, node_findings
from vlrouting.doctor.finding import FAULT
from vlrouting.experiment import Point, RunDirectory, UserError, import_plugins, load
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.progress import read_progress
from vlrouting.training.allocator import keep_freed_memory
from vlrouting.training.device import choose_device
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled, catch_signals
from vlrouting.training.point import run_point
from vlrouting.training.process_rank import Place, scheduler_job
from vlrouting.training.required_files import missing_files_of
from vlrouting.training.user_errors import USER_MISTAKES, disk_errors_told

COMPLETE_STATUS, FAILED_STATUS, MISTAKE_STATUS = 0, 1, 2
FIRST_WRITES_SECONDS = 2.0


def run_worker(directory: Path) -> int:
    """Train and evaluate the point of a run directory; the exit status for the process.

    0: complete. 75: preempted, all is saved, to be started again. 2: a mistake of the user, no use to try again.
    1: failed. 128 + n: cancelled by signal n.
    """
    run, place = RunDirectory(directory), Place.from_environment()
    try:
        with catch_signals(scheduled=place.slurm) as interruption, disk_errors_told(directory.name, directory):
            point = point_of(run)
            _check_group(point, place)
            _look_around(point, run, place)
            inputs = SharedInputs(choose_device([point.config], place.local_rank if place.world_size > 1 else 0))
            if inputs.device.type == "cpu":
                keep_freed_memory()
            run_point(point, run, inputs, interruption, point.differing, place)
    except Cancelled as stop:
        print(f"vlrouting: {stop}", file=sys.stderr, flush=True)
        if not place.first:  # srun ends the others as soon as one has ended, and the first has yet to write
            time.sleep(FIRST_WRITES_SECONDS)
        return stop.exit_status
    except Exception as error:
        return _failed(run, place, error)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return COMPLETE_STATUS


def point_of(run: RunDirectory) -> Point:
    """The point that a run directory is for.

    Raises:
        UserError: its config.yaml is missing, damaged, or asks for what is not there.
    """
    if not run.config.is_file():
        raise UserError(f"{run.config} is not there; start the point through `vlrouting sweep` or `vlrouting train`")
    config = load(str(run.config), check_files=missing_files_of).points[0].config
    import_plugins(config.plugins)
    swept = run.read_run().get("swept", {})
    return Point(run.path.name, config, dict(swept) if isinstance(swept, dict) else {})


def _check_group(point: Point, place: Place) -> None:
    """Launcher and configuration must speak of the same number of processes."""
    wanted = point.config.train.processes
    if place.world_size != wanted:
        raise UserError(
            f"train.devices, train.nodes: the configuration is for {wanted} processes, but {place.world_size} were "
            "started; submit the point again with `vlrouting sweep`, which takes both from one place"
        )


def _look_around(point: Point, run: RunDirectory, place: Place) -> None:
    """What the doctor finds on this machine, before anything expensive starts."""
    if place.local_rank > 0:
        return
    faults = [finding for finding in node_findings(point.config, run.path) if finding.level == FAULT]
    if faults:
        text = f"{socket.gethostname()}: " + "; ".join(f"{fault.found}: {fault.remedy}" for fault in faults)
        # A port may be held by a process that is just ending: that passes.
        passing = all(fault.looked_at == network.PLACE for fault in faults)
        raise RuntimeError(text) if passing else UserError(text)


def _failed(run: RunDirectory, place: Place, error: Exception) -> int:
    mistake = isinstance(error, USER_MISTAKES)
    if mistake:
        print(f"vlrouting: {error}", file=sys.stderr, flush=True)
    else:
        traceback.print_exception(error)
    reason = str(error) if mistake else f"{type(error).__name__}: {error}"
    if not place.first:
        # The first process will only see that it is alone, or be told to stop; the reason is here.
        told = read_progress(run.progress)
        where = (socket.gethostname(), scheduler_job(), place.group)
        with suppress(OSError):
            step = told.step if told is not None and told.phase == "training" else None
            Attempts(run.attempts).fail(*where, step, f"rank {place.rank}: {reason}")
    return MISTAKE_STATUS if mistake else FAILED_STATUS


def main() -> None:
    """Entry point."""
    if len(sys.argv) != 2:
        print("usage: python -m vlrouting.launch.worker RUN_DIRECTORY", file=sys.stderr)
        raise SystemExit(MISTAKE_STATUS)
    raise SystemExit(run_worker(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
