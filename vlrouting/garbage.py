"""Importing and loading without garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """For blocks that make much and drop nothing: imports and loading. There the collector finds no garbage, and takes
    a third of the time (docs/startup.md). It never looks at their objects again, also not in forked processes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
