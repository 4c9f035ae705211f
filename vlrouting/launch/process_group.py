"""The processes that train one point together on this machine, from start to the last one's end."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

LOST_STATUS = 255
"""Of a process whose server died, from multiprocessing."""
GRACE_SECONDS = 30.0
"""What a process may take to save when it is asked to stop."""

# A server that has imported torch once forks every process: a start costs milliseconds instead of seconds, and a GPU
# is touched by the children only.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["vlrouting.launch.worker", "vlrouting.launch.prepare"])


class ProcessGroup:
    """One point's processes. Where one fails, the others are stopped: they would wait for it for ever."""

    def __init__(
        self, directory: Path, processes: int, threads: int, environment: Mapping[str, str], log: Path
    ) -> None:
        """Start them.

        Args:
            directory: the point's run directory.
            processes: how many.
            threads: of each, on the CPU.
            environment: variables for all of them.
            log: file that their output is appended to.
        """
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(processes)}
        address["VLROUTING_GROUP"] = secrets.token_hex(8)
        self._processes = []
        for rank in range(processes):
            place = {**environment, **address, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = _CONTEXT.Process(target=_work, args=(directory, place, threads, log))
            process.start()
            self._processes.append(process)
        self._kill_at: float | None = None
        self._first = 0

    def poll(self) -> int | None:
        """None while it runs; else its exit status: of the process that failed first, negative for a signal's."""
        statuses = [_status(process) for process in self._processes]
        if None not in statuses:
            return self._first or next((status for status in statuses if status), 0)
        if any(statuses) and self._kill_at is None:
            self._first = next(status for status in statuses if status)
            self.stop(signal.SIGTERM)
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self.stop(signal.SIGKILL)
        return None

    def stop(self, number: int) -> None:
        """Ask all to stop; who does not within 30 s is killed."""
        self._kill_at = self._kill_at or time.monotonic() + GRACE_SECONDS
        for process in self._processes:
            if _status(process) is None and process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)


def _status(process: BaseProcess) -> int | None:
    """Its exit status; None while it runs, even when the server that could tell has been killed."""
    status = process.exitcode
    if status == LOST_STATUS and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, 0)
            return None
    return status


def warm_up() -> None:
    """Start the server, which imports torch meanwhile."""
    forkserver.ensure_running()


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_apart(function: Any, *arguments: Any) -> int:
    """Run a function in a process of its own; its exit status."""
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
    """What a process does: its output goes to the log, to the last word of the C libraries."""
    import torch

    from vlrouting.launch.worker import run_worker

    os.setsid()  # Ctrl-C is for the launcher, which passes it on: a second signal would not let the point save
    os.environ.update(environment)
    torch.set_num_threads(threads)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=_stop_with_launcher, daemon=True).start()
    status = run_worker(directory)
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(status)


def _stop_with_launcher() -> None:
    """Stop when the launcher was killed: nobody would be left to stop this process."""
    launcher = multiprocessing.parent_process()
    if launcher is not None:
        launcher.join()
        os.kill(os.getpid(), signal.SIGTERM)
