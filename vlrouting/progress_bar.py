"""The progress display of everything that takes long: a bar in a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vlrouting.verbosity import is_quiet

LINE_SECONDS = 30.0
"""Between two lines in a log file."""


def say(text: str) -> None:
    """Print a line on standard error, where results are not; nothing with `vlrouting -q`."""
    if not is_quiet():
        print(text, file=sys.stderr, flush=True)


def bars(*more: ProgressColumn) -> Progress:
    """Bars on standard error, each with a note beside it; not outside a terminal, nor with `vlrouting -q`.

    Args:
        more: columns after the others.
    """
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        *more,
        console=console,
        disable=not console.is_terminal or is_quiet(),
    )


@contextmanager
def progress_bar(description: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show how much is done and how long the rest takes; the block gets a function that adds a number of units.

    Args:
        description: what is being done.
        total: number of units.
        unit: plural, such as `images`.
    """
    done, started = 0, time.monotonic()
    shown = started
    with bars(TextColumn("left"), TimeRemainingColumn()) as display:
        task = display.add_task(description, total=total, note=unit)

        def advance(count: int = 1) -> None:
            nonlocal done, shown
            done += count
            display.update(task, completed=done)
            if display.disable and time.monotonic() - shown > LINE_SECONDS:
                shown = time.monotonic()
                left = int((shown - started) / done * (total - done))
                say(f"{description}: {done:,}/{total:,} {unit}, {left // 60}:{left % 60:02d} left")

        yield advance
