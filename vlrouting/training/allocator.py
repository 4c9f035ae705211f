"""Large tensors on a CPU: memory that a step has freed is kept for the next one."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""
_KEPT = 1 << 30


def keep_freed_memory() -> bool:
    """Tell glibc not to give freed blocks below 1 GiB back to the system; whether it could be told.

    By default each block above 32 MiB is mapped anew, page by page, on every use: encoding batches of images then took
    1.7 times as long (benchmarks/feature_cache.py). The process keeps its peak of memory.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in musl
    return mallopt is not None and all(mallopt(key, _KEPT) for key in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
