"""The progress of all points that run at once: a bar each in a terminal, a line now and then in a log file."""

from __future__ import annotations

import time

from rich.progress import TaskID

from vlrouting.experiment import RunDirectory
from vlrouting.experiment.progress import read_progress
from vlrouting.progress_bar import LINE_SECONDS, bars
from vlrouting.verbosity import is_quiet


class Display:
    """Reads progress.json of the points that run.

    Args:
        total: number of points to run.

    Attributes:
        bars: the display, a context manager.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.bars = bars()
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._line: dict[str, float] = {}

    def started(self, name: str, run: RunDirectory) -> None:
        """A point has started."""
        self._started[name] = self._line[name] = time.monotonic()
        self._tasks[name] = self.bars.add_task(name, total=None, note="starting")
        if self.bars.disable:
            self._print(f"{name}: started -> {run.path}")

    def update(self, name: str, run: RunDirectory) -> None:
        """Show how far a point is."""
        progress = read_progress(run.progress)
        if progress is None:
            return
        description = name if progress.phase == "training" else f"{name} ({progress.phase})"
        total = progress.total or None
        self.bars.update(
            self._tasks[name], description=description, completed=progress.step, total=total, note=progress.note
        )
        if self.bars.disable and time.monotonic() - self._line[name] > LINE_SECONDS:
            self._line[name] = time.monotonic()
            self._print(f"{name}: {progress}")

    def ended(self, name: str, outcome: str) -> None:
        """A point has ended: complete, failed, cancelled, preempted."""
        self.done += 1
        self.bars.remove_task(self._tasks.pop(name))
        seconds = time.monotonic() - self._started[name]
        self._print(f"[{self.done}/{self.total}] {name}: {outcome} after {seconds:.0f} s")

    def _print(self, text: str) -> None:
        if not is_quiet():
            self.bars.console.print(text, highlight=False, markup=False, soft_wrap=True)
