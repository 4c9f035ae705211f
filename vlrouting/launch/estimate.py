"""How long a sweep will take, from what its points have shown so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vlrouting.experiment.progress import Progress


@dataclass
class SweepEstimate:
    """The time that is left over all points. Complete points count as they were; of one that runs, the time so far and
    the rest of its training at the present rate; those that wait take as long as the others on average.

    Attributes:
        waiting: number of points that have not started.
        at_once: number of points that run at a time.
        clock: seconds.
    """

    waiting: int
    at_once: int = 1
    clock: Callable[[], float] = time.monotonic
    _started: dict[str, float] = field(default_factory=dict)
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of a point that runs: when its progress was read, and the seconds that it then had left."""
    _done: list[float] = field(default_factory=list)
    """Seconds that each point took."""

    def started(self, name: str) -> None:
        """A point starts."""
        self.waiting -= 1
        self._started[name] = self.clock()

    def progressed(self, name: str, progress: Progress) -> None:
        """What a point that runs tells of its training."""
        left = progress.remaining_seconds
        if progress.phase == "training" and left is not None:
            self._left[name] = (self.clock(), left)

    def ended(self, name: str, complete: bool) -> None:
        """A point has ended; how long it took counts only where it is complete."""
        started = self._started.pop(name)
        self._left.pop(name, None)
        if complete:
            self._done.append(self.clock() - started)

    @property
    def basis(self) -> str:
        """What the estimate is made from."""
        count = len(self._done)
        if count:
            return f"{count} complete point{'s' * (count > 1)}"
        return "the first training steps of " + ", ".join(self._left)

    def seconds(self) -> float | None:
        """Seconds until all points have ended; None where nothing is known yet. Tests are counted after the first
        complete point only."""
        now = self.clock()
        left = {name: max(0.0, seconds - (now - read)) for name, (read, seconds) in self._left.items()}
        whole = self._done + [now - self._started[name] + left[name] for name in left]
        if not whole:
            return None
        mean = sum(whole) / len(whole)
        running = [left.get(name, max(0.0, mean - (now - start))) for name, start in self._started.items()]
        return max((sum(running) + self.waiting * mean) / self.at_once, *running, 0.0)


def spelled_seconds(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
