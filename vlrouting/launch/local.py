"""Several points of a sweep at once on this machine: a process group each, on GPUs or cores of its own."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vlrouting.config import ExperimentConfig
from vlrouting.experiment import Experiment, Point, RunDirectory, UserError, to_yaml, write_json_atomic
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.exit_status import ExitStatus
from vlrouting.launch.alive import log_tail
from vlrouting.launch.display import Display
from vlrouting.launch.in_process import prepare, warn_of_missing_scores
from vlrouting.launch.killed import killed_text, oom_kills
from vlrouting.launch.open_points import still_open
from vlrouting.launch.phases import in_phases
from vlrouting.launch.process_group import GroupEnd, ProcessGroup, run_in_process
from vlrouting.training.device import choose_device
from vlrouting.training.interruption import Cancelled, Interruption, catch_signals
from vlrouting.training.machine import cores
from vlrouting.training.memory_remedy import memory_remedy
from vlrouting.training.process_rank import scheduler_job
from vlrouting.training.user_errors import removed

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Slot:
    """A part of the machine that trains one point at a time.

    Attributes:
        gpus: numbers of its GPUs; empty on the CPU.
        threads: of each process.
    """

    gpus: tuple[int, ...]
    threads: int

    def environment(self) -> dict[str, str]:
        """Variables that restrict a point to its part."""
        if not self.gpus:
            return {"OMP_NUM_THREADS": str(self.threads)}
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        names = visible.split(",") if visible else [str(number) for number in range(max(self.gpus) + 1)]
        return {"CUDA_VISIBLE_DEVICES": ",".join(names[number] for number in self.gpus)}


def slots_of(points: Sequence[Point], gpus: int, cores: int, at_once: int | None) -> list[Slot]:
    """Divide the machine.

    Args:
        points: what is to run.
        gpus: number of GPUs; 0 trains on the CPU.
        cores: number of cores.
        at_once: most points at a time; default: as many as there is room for.

    Raises:
        UserError: a point needs more than there is.
    """
    devices = max(point.config.train.devices for point in points)
    if any(point.config.train.nodes > 1 for point in points):
        raise UserError("train.nodes: this is one machine; several need --launcher slurm")
    if gpus and devices > gpus:
        raise UserError(f"train.devices: {devices} GPUs are asked for, and there are {gpus}")
    room = gpus // devices if gpus else max(1, cores // devices)
    count = max(1, min(len(points), room, at_once or room))
    threads = max(1, cores // (count * devices))
    return [Slot(tuple(range(n * devices, (n + 1) * devices)) if gpus else (), threads) for n in range(count)]


def run_locally(
    experiment: Experiment, points: Sequence[Point], runs: Path, at_once: int | None = None
) -> dict[str, str]:
    """Train and evaluate every point that is not complete, several at a time, after the trials of what is tuned.

    What they share (generated data, image features) is made first, with all of the machine. A point that fails does not
    stop the others.

    Args:
        experiment: validated.
        points: of it.
        runs: folder of the run directories.
        at_once: most points at a time.

    Returns:
        Point name -> reason, of those that failed.

    Raises:
        Cancelled: stopped by a signal; every point has saved.
        UserError: what the user can fix.
    """
    # Signals between the phases too; and `vlrouting cancel` finds this process in both.
    with catch_signals(), _launcher_file(runs / experiment.name):
        return in_phases(experiment, points, runs, partial(_run_phase, at_once=at_once))


def _run_phase(experiment: Experiment, points: Sequence[Point], runs: Path, at_once: int | None) -> dict[str, str]:
    waiting, folder = still_open(experiment, points, runs), runs / experiment.name
    warn_of_missing_scores(waiting)
    if not waiting:
        return {}
    configs = [point.config for point in waiting]
    with catch_signals() as interruption, _launcher_file(folder) if experiment.is_tuning else nullcontext():
        slots = slots_of(waiting, _gpus(configs), cores(), at_once)
        kills = oom_kills()
        status = run_in_process(prepare, configs, cores())
        if status > 0:
            raise UserError("the points cannot start, for the reason above")
        if status < 0:
            ran_out = (oom_kills() or 0) > (kills or 0)
            text = killed_text(signal.Signals(-status), 0, 1, memory_ran_out=ran_out, remedy=memory_remedy(configs[0]))
            raise UserError(f"the process that prepares data and image features was {text}")
        for point in waiting:  # after the preparation: what cannot start is not queued
            _queue(experiment, point, RunDirectory(folder / point.name))
        interruption.patient = True
        return _Launcher(experiment, folder, waiting, slots, interruption).run()


class _Launcher:
    """Starts a point whenever a slot is free, and watches those that run."""

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        waiting: list[Point],
        slots: list[Slot],
        interruption: Interruption,
    ) -> None:
        self.folder, self.waiting, self.free, self.interruption = folder, list(waiting), list(slots), interruption
        self.running: dict[str, tuple[ProcessGroup, Slot]] = {}
        self.failed: dict[str, str] = {}
        self.user_error: str | None = None
        self.display = Display(len(waiting), at_once=len(slots), tuning=experiment.is_tuning)
        self.configs = {point.name: point.config for point in waiting}
        self._signalled = False
        self._oom_kills = oom_kills()

    def run(self) -> dict[str, str]:
        """Until no point is left."""
        with self.display.bars:
            while self.running or (self.waiting and not self._stopping):
                self._start()
                self._forward_signal()
                for name in list(self.running):
                    self._check(name)
                time.sleep(POLL_SECONDS)
        for point in self.waiting:
            RunDirectory(self.folder / point.name).update_run(status="cancelled", error="not started")
        if self.interruption.requested is not None:
            raise Cancelled(self.interruption.requested)
        if self.user_error is not None:
            raise UserError(self.user_error)
        return self.failed

    @property
    def _stopping(self) -> bool:
        """After a user error too, which the points that wait would only repeat."""
        return self.interruption.requested is not None or self.user_error is not None

    def _start(self) -> None:
        while self.free and self.waiting and not self._stopping:
            point, slot = self.waiting.pop(0), self.free.pop(0)
            run = RunDirectory(self.folder / point.name)
            group = ProcessGroup(
                run.path,
                processes=point.config.train.devices,
                threads=slot.threads,
                environment=slot.environment(),
                log=run.log,
            )
            self.running[point.name] = (group, slot)
            self.display.started(point.name, run)

    def _forward_signal(self) -> None:
        if self.interruption.requested is not None and not self._signalled:
            self._signalled = True
            for group, _ in self.running.values():
                group.stop(self.interruption.requested)

    def _check(self, name: str) -> None:
        group, slot = self.running[name]
        run, end = RunDirectory(self.folder / name), group.poll()
        if end is None:
            self.display.update(name, run)
            return
        del self.running[name]
        self.free.append(slot)
        if end.status and not self._stopping:
            self._record_failure(name, run, end)
        self.display.ended(name, run.status() or "removed")

    def _record_failure(self, name: str, run: RunDirectory, end: GroupEnd) -> None:
        if not run.config.is_file():
            self.failed[name] = removed(run)
            return
        if end.killer is not None and run.is_complete():  # it was killed while it ended
            return
        reason = self._reason(name, run, end)
        if end.status == ExitStatus.USER_ERROR:
            self.user_error = reason if reason.startswith(f"{name}: ") else f"{name}: {reason}"
        self.failed[name] = f"{reason} ({run.log})"

    def _reason(self, name: str, run: RunDirectory, end: GroupEnd) -> str:
        """Why a point failed; written into run.json where the point has not done it, or could not know."""
        stored = run.read_run()
        told = Attempts(run.attempts).read()[-1:]
        if end.killer is not None:
            reason, rank, killer = self._killed(name, end), end.rank, end.killer.name
            attempt = (socket.gethostname(), scheduler_job(), end.group)
            with suppress(OSError):
                Attempts(run.attempts).fail(*attempt, None, reason, rank=rank, signal=killer)
        elif told and told[0].group == end.group and told[0].rank is not None:
            reason, rank, killer = told[0].reason, told[0].rank, None  # the first saw only that it is alone
        elif stored.get("status") in ("queued", "running"):  # it ended before it could write how
            reason, rank, killer = "".join(log_tail(run.log, 1)) or "it printed nothing", end.rank, None
        else:
            return str(stored.get("error") or "")
        with suppress(OSError):  # a full disk
            run.update_run(status="failed", error=reason, failed_rank=rank, signal=killer)
        return reason

    def _killed(self, name: str, end: GroupEnd) -> str:
        before, self._oom_kills = self._oom_kills, oom_kills()
        ran_out = before is not None and self._oom_kills is not None and self._oom_kills > before
        assert end.killer is not None
        remedy = f"{memory_remedy(self.configs[name])}, or fewer points --at-once"
        return killed_text(end.killer, end.rank, end.processes, memory_ran_out=ran_out, remedy=remedy)


def _queue(experiment: Experiment, point: Point, run: RunDirectory) -> None:
    """Write what the point's processes read."""
    with run.lock():
        run.prepare(to_yaml(point.config))
        run.update_run(status="queued", error=None, swept=experiment.swept(point))


def _gpus(configs: Sequence[ExperimentConfig]) -> int:
    import torch

    return torch.cuda.device_count() if choose_device(configs).type == "cuda" else 0


@contextmanager
def _launcher_file(folder: Path) -> Iterator[None]:
    """`vlrouting cancel` finds the launcher by this file."""
    file = folder / ".sweep" / "local.json"
    write_json_atomic(file, {"pid": os.getpid(), "host": socket.gethostname()})
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
