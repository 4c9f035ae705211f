"""The progress of all points that run at once: a bar each in a terminal, a line now and then in a log file."""

from __future__ import annotations

import math
import time

from rich.progress import TaskID

from vlrouting.experiment import RunDirectory
from vlrouting.experiment.progress import read_progress
from vlrouting.launch.estimate import SweepEstimate, spelled_seconds
from vlrouting.progress_bar import LINE_SECONDS, bars
from vlrouting.verbosity import is_quiet

ESTIMATE_SECONDS = 300.0
"""Between two estimates in a log file."""


class Display:
    """Reads progress.json of the points that run.

    Args:
        total: number of points to run.
        at_once: number of points that run at a time.
        tuning: whether the points are trials.

    Attributes:
        bars: the display, a context manager.
    """

    def __init__(self, total: int, at_once: int = 1, tuning: bool = False) -> None:
        self.total, self.done = total, 0
        self._phase = "tuning " if tuning else ""
        self.bars = bars()
        self._estimate = SweepEstimate(total, at_once)
        self._estimate_shown = -math.inf
        self._sweep = self.bars.add_task(self._all, total=total, note="", visible=total > 1)
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._line: dict[str, float] = {}

    @property
    def _all(self) -> str:
        return "tuning, all trials" if self._phase else "all points"

    def started(self, name: str, run: RunDirectory) -> None:
        """A point has started."""
        self._started[name] = self._line[name] = time.monotonic()
        self._estimate.started(name)
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
        self._estimate.progressed(name, progress)
        self._show_estimate()

    def ended(self, name: str, outcome: str) -> None:
        """A point has ended: complete, failed, cancelled, preempted."""
        self.done += 1
        self._estimate.ended(name, complete=outcome == "complete")
        self.bars.update(self._sweep, completed=self.done)
        self.bars.remove_task(self._tasks.pop(name))
        seconds = time.monotonic() - self._started[name]
        self._print(f"{self._phase}[{self.done}/{self.total}] {name}: {outcome} after {seconds:.0f} s")

    def _show_estimate(self) -> None:
        seconds = self._estimate.seconds() if self.total > 1 else None
        if seconds is None:
            return
        text = f"about {spelled_seconds(seconds)} left"
        self.bars.update(self._sweep, note=f"{text} (from {self._estimate.basis})")
        if self.bars.disable and time.monotonic() - self._estimate_shown > ESTIMATE_SECONDS:
            self._estimate_shown = time.monotonic()
            self._print(f"{self._all}: {self.done}/{self.total} done, {text} (from {self._estimate.basis})")

    def _print(self, text: str) -> None:
        if not is_quiet():
            self.bars.console.print(text, highlight=False, markup=False, soft_wrap=True)
