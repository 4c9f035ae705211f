"""What this machine offers to a process: cores, and memory that is kept between steps. Imports no torch."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""
_KEPT = 1 << 30


def cores() -> int:
    """Cores that this process may use, by its affinity and by the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or `max`
        return max(1, allowed)


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks below 1 GiB for the next step; False where there is no glibc.

    By default each block above 32 MiB is mapped again, page by page, on every use: encoding batches of images then took
    1.7 times as long (benchmarks/feature_cache.py). The process keeps its peak of memory.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in musl
    return mallopt is not None and all(mallopt(key, _KEPT) for key in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
