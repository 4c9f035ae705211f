"""A line for a user who waits: importing torch and loading a model may take a minute on a cold disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vlrouting.garbage import no_garbage_collection

PATIENCE = 2.0
"""Seconds without a line."""


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Print `loading WHAT …` on standard error where the block takes longer than `PATIENCE`."""
    from vlrouting.progress_bar import say

    line = threading.Timer(PATIENCE, say, [f"loading {what} …"])
    line.daemon = True
    line.start()
    try:
        with no_garbage_collection():
            yield
    finally:
        line.cancel()
