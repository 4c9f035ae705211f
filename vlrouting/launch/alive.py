"""Whether the process that wrote its number into a file is still there."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from vlrouting.experiment import RunDirectory


@dataclass(frozen=True)
class Holder:
    """A process on some machine."""

    pid: int
    host: str

    @property
    def here(self) -> bool:
        """Whether it is on this machine, where it can be looked at."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool | None:
        """None where this machine cannot know."""
        if not self.here:
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def holder_of(run: RunDirectory) -> Holder | None:
    """The process that holds, or held when it was killed, a run directory. Asking does not touch the lock itself:
    a point that starts at this moment would find it taken."""
    return _read(run.path / ".lock.json")


def local_launcher(experiment_runs: Path) -> Holder | None:
    """The process of `--launcher local` that works on an experiment; None where there is none any more."""
    launcher = _read(experiment_runs / ".sweep" / "local.json")
    return None if launcher is None or launcher.alive is False else launcher


def _read(path: Path) -> Holder | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Holder(int(fields["pid"]), str(fields["host"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
