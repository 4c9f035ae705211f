"""One display for all points that run at once: a bar each where somebody watches, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vlrouting.experiment import RunDirectory
from vlrouting.experiment.progress import read_progress

LINE_SECONDS = 30.0
"""Between two lines on a point, where the output is a file."""


class Display:
    """Reads progress.json of the points that run."""

    def __init__(self, total: int) -> None:
        """
        Args:
            total: points there are to run.
        """
        self.total, self.done = total, 0
        self.console = Console(file=sys.stderr)
        self._runs: dict[str, RunDirectory] = {}
        self._bars: dict[str, TaskID] = {}
        self._since: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, name: str, run: RunDirectory) -> None:
        """A point runs."""
        self._runs[name] = run
        self._since[name] = self._told[name] = time.monotonic()
        self._bars[name] = self._progress.add_task(name, total=None, note="starting")
        if not self.console.is_terminal:
            self._say(f"{name}: started -> {run.path}")

    def update(self, name: str) -> None:
        """Show how far a point is."""
        told = read_progress(self._runs[name].progress)
        if told is None:
            return
        description = name if told.phase == "training" else f"{name} ({told.phase})"
        self._progress.update(
            self._bars[name], description=description, completed=told.step, total=told.total or None, note=told.note
        )
        if not self.console.is_terminal and time.monotonic() - self._told[name] > LINE_SECONDS:
            self._told[name] = time.monotonic()
            self._say(f"{name}: {told}")

    def ended(self, name: str, outcome: str) -> None:
        """A point ended: complete, failed, cancelled, preempted."""
        self.done += 1
        self._progress.remove_task(self._bars.pop(name))
        seconds = time.monotonic() - self._since[name]
        self._say(f"[{self.done}/{self.total}] {name}: {outcome} after {seconds:.0f} s")

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
