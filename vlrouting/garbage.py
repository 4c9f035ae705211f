"""Importing and loading without garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """For blocks that make much and drop nothing: imports and loading. Among them the collector finds no garbage, and
    takes a quarter of the time. What they made it leaves alone later, also in the processes that are forked from this
    one."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
