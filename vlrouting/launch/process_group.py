"""The processes that train one point together on this machine."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlrouting.experiment.exit_status import ExitStatus
from vlrouting.launch.alive import is_running

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

LOST_STATUS = 255
"""From multiprocessing, of a process whose fork server died."""
GRACE_SECONDS = 30.0
"""For a process to save after a signal."""
SETTLE_SECONDS = 1.0
"""For the cause to show: where one process is killed, another may be seen to fail first."""

# A server that has imported torch once forks every process: a start costs milliseconds instead of seconds, and a GPU
# is touched by the children only.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["vlrouting.launch.preloaded"])


@dataclass(frozen=True)
class GroupEnd:
    """How a group ended.

    Attributes:
        status: exit status of the process that failed first; 0 where all succeeded.
        rank: of that process.
        processes: number of them.
        killer: the signal that killed that process, which was not sent by the launcher.
        group: names the start.
    """

    status: int
    rank: int = 0
    processes: int = 1
    killer: signal.Signals | None = None
    group: str = ""


class ProcessGroup:
    """One point's processes. When one fails, the others are stopped, which would wait for it for ever."""

    def __init__(
        self, directory: Path, *, processes: int, threads: int, environment: Mapping[str, str], log: Path
    ) -> None:
        """Start them.

        Args:
            directory: the point's run directory.
            processes: number of them.
            threads: of each, on the CPU.
            environment: variables for all of them.
            log: file that their output is appended to.
        """
        self._store = host_store() if processes > 1 else None
        self._group = secrets.token_hex(8)
        group = {"WORLD_SIZE": str(processes), "VLROUTING_GROUP": self._group}
        if self._store is not None:
            # torchrun's variable: every rank connects to the launcher's store, and none opens a port of its own.
            group |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "127.0.0.1"}
            group |= {"MASTER_PORT": str(self._store.port)}
        self._processes = []
        for rank in range(processes):
            variables = {**environment, **group, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = _CONTEXT.Process(target=_work, args=(directory, variables, threads, log))
            process.start()
            self._processes.append(process)
        self._kill_at: float | None = None
        self._stop_at: float | None = None
        self._cause: GroupEnd | None = None

    def poll(self) -> GroupEnd | None:
        """None while it runs."""
        statuses = [_status(process) for process in self._processes]
        if self._kill_at is None:  # what ends later was stopped by the launcher
            self._cause = self._cause_in(statuses)
        if None not in statuses:
            return self._cause or self._cause_in(statuses) or GroupEnd(0)
        if self._cause is not None and self._kill_at is None:
            self._stop_at = self._stop_at or time.monotonic() + SETTLE_SECONDS
            if time.monotonic() >= self._stop_at:
                self.stop(signal.SIGTERM)
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self.stop(signal.SIGKILL)
        return None

    def _cause_in(self, statuses: Sequence[int | None]) -> GroupEnd | None:
        """The process that was killed, or else the one with the status that says most."""
        failed = [(status, rank) for rank, status in enumerate(statuses) if status]
        if not failed:
            return None
        order: dict[int, int] = {ExitStatus.USER_ERROR: 1, ExitStatus.FAILED: 2}
        status, rank = min(failed, key=lambda each: 0 if each[0] < 0 else order.get(each[0], 3))
        killer = signal.Signals(-status) if status < 0 else None
        return GroupEnd(status, rank, len(statuses), killer, self._group)

    def stop(self, number: int) -> None:
        """Send a signal to all; those that do not end within 30 s are killed."""
        self._kill_at = self._kill_at or time.monotonic() + GRACE_SECONDS
        for process in self._processes:
            if _status(process) is None and process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)


def _status(process: BaseProcess) -> int | None:
    """Its exit status; None while it runs, even when the fork server has been killed."""
    status = process.exitcode
    return None if status == LOST_STATUS and process.pid is not None and is_running(process.pid) else status


def warm_up() -> None:
    """Start the fork server, which imports torch meanwhile."""
    forkserver.ensure_running()


def host_store() -> TCPStore:
    """A server through which the processes of one group find each other.

    The system chooses the port while it opens it. A port that is looked up first and opened later by rank 0 can be
    given to two groups that start at once.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def run_in_process(function: Any, *arguments: Any) -> int:
    """Run a function in a process of its own; returns its exit status."""
    process = _CONTEXT.Process(target=function, args=arguments)
    process.start()
    try:
        process.join()
    except BaseException:
        process.join(GRACE_SECONDS)  # Ctrl-C reaches it too
        process.kill()
        raise
    return int(process.exitcode or 0)


def _work(directory: Path, environment: Mapping[str, str], threads: int, log: Path) -> None:
    """Run the worker; its output goes to the log, that of C libraries too."""
    import torch

    from vlrouting.launch.worker import run_worker

    os.setsid()  # Ctrl-C goes to the launcher alone, which forwards it: after a second signal the point would not save
    os.environ.update(environment)
    torch.set_num_threads(threads)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=_stop_with_launcher, daemon=True).start()
    status = run_worker(directory)
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(int(status))


def _stop_with_launcher() -> None:
    """Stop when the launcher was killed: nothing else would stop this process."""
    launcher = multiprocessing.parent_process()
    if launcher is not None:
        launcher.join()
        os.kill(os.getpid(), signal.SIGTERM)
