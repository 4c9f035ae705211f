"""Whether the process that wrote its id into a file still runs, and what it printed last."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from vlrouting.experiment import RunDirectory

_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class HostProcess:
    """A process on this machine or another one."""

    pid: int
    host: str

    @property
    def is_local(self) -> bool:
        """Whether it is, or was, on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool | None:
        """None for a process on another machine."""
        return is_running(self.pid) if self.is_local else None


def is_running(pid: int) -> bool:
    """Whether a process of this machine exists and has not ended. One that has ended stays as a zombie until its parent
    asks for its status, for ever where the parent never does."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux, or it has just gone: the next question will tell
        return True
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def lock_holder(run: RunDirectory) -> HostProcess | None:
    """The process that holds a run directory, or held it when it was killed. The lock itself is not touched: a point
    that starts at this moment would find it taken."""
    return _read(run.path / ".lock.json")


def local_launcher(experiment_runs: Path) -> HostProcess | None:
    """The process of `--launcher local` that works on an experiment; None where there is none, or none any more."""
    launcher = _read(experiment_runs / ".sweep" / "local.json")
    return None if launcher is None or launcher.is_alive is False else launcher


def log_tail(path: Path, lines: int) -> list[str]:
    """The last non-empty lines of a log file; of a progress bar, which overwrites itself, the last state. Empty when
    there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    shown = (line.rstrip().rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return [line for line in shown if line][-lines:]


def _read(path: Path) -> HostProcess | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return HostProcess(int(fields["pid"]), str(fields["host"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
