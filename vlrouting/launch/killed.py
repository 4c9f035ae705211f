"""What to say of a process that a signal killed, and whether the system had run out of memory."""

from __future__ import annotations

import signal
from pathlib import Path

_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
"""Of this container, else of the whole machine; both have a line `oom_kill N`."""


def oom_kills() -> int | None:
    """How many processes the kernel has killed here because memory ran out; None where it does not tell."""
    for counter in _COUNTERS:
        try:
            lines = dict(line.split(maxsplit=1) for line in counter.read_text(encoding="ascii").splitlines())
            return int(lines["oom_kill"])
        except (OSError, ValueError, KeyError):
            continue
    return None


def killed_text(killer: signal.Signals, rank: int, processes: int, *, memory_ran_out: bool, remedy: str) -> str:
    """`rank 1 of 2 was killed by SIGKILL`, and what to do where memory ran out.

    Args:
        killer: the signal.
        rank: of the process.
        processes: number of processes that train the point.
        memory_ran_out: whether the kernel has killed a process for that reason meanwhile.
        remedy: the settings that take less memory.
    """
    which = f"rank {rank} of {processes} was killed" if processes > 1 else "killed"
    if killer == signal.SIGKILL and memory_ran_out:
        return f"{which} by SIGKILL, because this machine ran out of memory: {remedy}"
    return f"{which} by {killer.name}"
