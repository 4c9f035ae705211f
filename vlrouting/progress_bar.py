"""The progress display of everything that takes long: a bar in a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
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


@contextmanager
def bytes_bar(description: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show size, rate and time left; the block gets a function that adds a number of bytes.

    Args:
        description: what is being done.
        total: bytes; None where that is not known.
        done: bytes of an earlier run.
    """
    console = Console(file=sys.stderr)
    quiet = not console.is_terminal or is_quiet()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    begun = shown = time.monotonic()
    before = done
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet) as display:
        task = display.add_task(description, total=total, completed=done)

        def advance(count: int) -> None:
            nonlocal done, shown
            done += count
            display.update(task, completed=done)
            now = time.monotonic()
            if quiet and now - shown > LINE_SECONDS:
                shown = now
                say(f"{description}: {_state(done, total, max(done - before, 0) / (now - begun))}")

        yield advance


def _state(done: int, total: int | None, rate: float) -> str:
    """`1.2 GB of 13.5 GB, 45.0 MB/s, 4:33 min left`."""
    text = decimal(done) if total is None else f"{decimal(done)} of {decimal(total)}"
    text += f", {decimal(int(rate))}/s"
    if total is None or rate <= 0:
        return text
    minutes, seconds = divmod(int(max(total - done, 0) / rate), 60)
    return f"{text}, {minutes}:{seconds:02d} min left"
