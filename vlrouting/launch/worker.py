"""One point as one process of its group: `python -m vlrouting.launch.worker runs/EXPERIMENT/POINT`.

Launchers start it, srun and the local one, with the same arguments on every rank. Everything it needs is in the run
directory. Its exit status tells its launcher what to do next. It installs its signal handlers before it imports
torch, which takes seconds: a scheduler's notice that comes meanwhile is kept until the first step is done.
"""

from __future__ import annotations

import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vlrouting.config.environment import as_written
from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.exit_status import ExitStatus
from vlrouting.experiment.progress import FAILED_STEP, last_training_step
from vlrouting.experiment.typed import value_at
from vlrouting.training.interruption import Cancelled, Interruption, catch_signals
from vlrouting.training.process_rank import ProcessRank, scheduler_job
from vlrouting.verbosity import configure_logging

if TYPE_CHECKING:
    from vlrouting.experiment import Point

FIRST_WRITES_SECONDS = 2.0


def run_worker(directory: Path) -> int:
    """Train and evaluate the point of a run directory.

    Returns:
        An `ExitStatus`, or 128 + n when signal n cancelled it.
    """
    configure_logging()
    run, rank = RunDirectory(directory), ProcessRank.from_environment()
    try:
        with catch_signals(scheduled=rank.slurm) as interruption:
            interruption.setting_up = True
            _run_point(run, rank, interruption)
    except Cancelled as stop:
        print(f"vlrouting: {stop}", file=sys.stderr, flush=True)
        if not rank.is_first:  # srun kills the others as soon as one has ended, and the first is still writing
            time.sleep(FIRST_WRITES_SECONDS)
        return stop.exit_status
    except Exception as error:
        return _record_failure(run, rank, error)
    finally:
        _leave_group()
    return ExitStatus.COMPLETE


def _run_point(run: RunDirectory, rank: ProcessRank, interruption: Interruption) -> None:
    from vlrouting.training.quick_imports import quick_imports

    with quick_imports():
        from vlrouting.training.point import PointRun
        from vlrouting.training.process import set_up_process
        from vlrouting.training.user_errors import disk_errors_as_user_errors

    with disk_errors_as_user_errors(run.path.name, [run.path], run):
        point = with_choice(point_of(run), run)
        _check_group(point, rank)
        _check_node(point, run, rank)
        inputs = set_up_process([point.config], local_rank=rank.local_rank if rank.world_size > 1 else 0)
        PointRun(point, run, inputs, interruption, point.differing, rank).train_and_test()


def point_of(run: RunDirectory) -> Point:
    """The point of a run directory.

    Raises:
        UserError: its config.yaml is missing or invalid, or a file that it names is missing.
    """
    from vlrouting.experiment import Point, import_plugins, load
    from vlrouting.training.user_errors import missing_files_of

    if not run.config.is_file():
        raise UserError(f"{run.config} is missing; start the point through `vlrouting sweep` or `vlrouting train`")
    # A launcher has just written the file, from an experiment of the user's own.
    config = load(str(run.config), check_files=missing_files_of, trust_plugins=True).points[0].config
    import_plugins(config.plugins)
    swept = run.read_run().get("swept", {})
    return Point(run.path.name, config, dict(swept) if isinstance(swept, dict) else {})


def with_choice(point: Point, run: RunDirectory) -> Point:
    """The point with what its tuning chooses. Every process of the group chooses the same; the first one writes it into
    config.yaml when it prepares the directory, and after a restart it is there.

    Raises:
        UserError: a trial has not ended well.
    """
    from vlrouting.experiment.choice import chosen
    from vlrouting.experiment.trials import TUNING

    config = chosen(point.config, run.path.parent / TUNING)
    if config.tuned is None:
        return point
    values = {key: as_written(value_at(config, key)) for key in config.tuned.keys}
    return replace(point, config=config, differing=point.differing | values)


def _check_group(point: Point, rank: ProcessRank) -> None:
    """Launcher and configuration must agree on the number of processes."""
    wanted = point.config.train.processes
    if rank.world_size != wanted:
        raise UserError(
            f"train.devices, train.nodes: the configuration is for {wanted} processes, but {rank.world_size} were "
            "started; submit the point again with `vlrouting sweep`, which takes both from one place"
        )


def _check_node(point: Point, run: RunDirectory, rank: ProcessRank) -> None:
    """What the doctor finds on this machine, before anything expensive starts."""
    from vlrouting.doctor import FAULT, network, node_findings

    if rank.local_rank > 0:
        return
    faults = [finding for finding in node_findings(point.config, run.path) if finding.level == FAULT]
    if faults:
        text = f"{socket.gethostname()}: " + "; ".join(f"{fault.found}: {fault.remedy}" for fault in faults)
        # A process that is just ending may still hold a port: trying again helps.
        temporary = all(fault.looked_at == network.PLACE for fault in faults)
        raise RuntimeError(text) if temporary else UserError(text)


def _record_failure(run: RunDirectory, rank: ProcessRank, error: Exception) -> ExitStatus:
    from vlrouting.training.user_errors import EXPLAINED, USER_ERRORS, error_text

    if isinstance(error, EXPLAINED):
        print(f"vlrouting: {error}", file=sys.stderr, flush=True)
    else:
        traceback.print_exception(error)
    if not rank.is_first and run.config.is_file():
        # The first process only sees that its group breaks, or a signal; the reason is known here.
        with suppress(OSError):
            attempt = (socket.gethostname(), scheduler_job(), rank.group)
            reason = f"rank {rank.rank}: {error_text(error)}"
            step = getattr(error, FAILED_STEP, last_training_step(run.progress))
            Attempts(run.attempts).fail(*attempt, step, reason, rank=rank.rank)
    return ExitStatus.USER_ERROR if isinstance(error, USER_ERRORS) else ExitStatus.FAILED


def _leave_group() -> None:
    """Leave the process group, if torch was imported and there is one."""
    if "torch" in sys.modules:
        import torch

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def main() -> None:
    """Entry point."""
    if len(sys.argv) != 2:
        print("usage: python -m vlrouting.launch.worker RUN_DIRECTORY", file=sys.stderr)
        raise SystemExit(int(ExitStatus.USER_ERROR))
    raise SystemExit(int(run_worker(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
