"""Signals: a training run finishes its step and saves; anything else stops at once.

Imports no torch: a process installs the handlers before anything that takes long.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vlrouting.experiment.exit_status import ExitStatus

PREEMPTION_SIGNALS = (signal.SIGUSR2, signal.SIGUSR1)
"""A scheduler's notice. Job scripts ask for SIGUSR2, because some versions of NCCL catch SIGUSR1
(https://github.com/NVIDIA/nccl/issues/704). Scripts that were queued earlier still send SIGUSR1."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, *PREEMPTION_SIGNALS)


class Cancelled(Exception):
    """The user or the system asked to stop; what was computed is saved.

    Attributes:
        status: of the run directory.
        exit_status: of the process; what a shell expects, 128 + the signal's number.
    """

    status = "cancelled"

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; run the same command again to resume")
        self.exit_status = 128 + number


class Preempted(Cancelled):
    """A scheduler takes the machine back; the point is to be started again."""

    status = "preempted"

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = ExitStatus.PREEMPTED


class Interruption:
    """The signals that this process got.

    Args:
        scheduled: a scheduler started this process, so that its TERM is a preemption and not a user's wish.

    Attributes:
        setting_up: set before the first step. A scheduler's notice is then only recorded: the run stops after its first
            step, so that a start that takes long makes some progress. TERM, which follows in the end, stops at once.
        patient: set while a step is being computed. The first signal is only recorded; a second one stops at once.
        requested: the first signal.
    """

    def __init__(self, scheduled: bool = False) -> None:
        self.setting_up = self.patient = False
        self.requested: int | None = None
        self._preempting = (*PREEMPTION_SIGNALS, *([signal.SIGTERM] if scheduled else []))

    def install(self) -> None:
        """Install the handlers. Lightning installs its own when training or a test starts: call this again then."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # A scheduler's notice is followed by its TERM: the run is stopping already, and needs the time to save.
        first = self.requested is None or (self.requested in self._preempting and number in self._preempting)
        self.requested = number if self.requested is None else self.requested
        waits = (self.patient and first) or (self.setting_up and number in PREEMPTION_SIGNALS)
        if not waits:
            raise self.stop(self.requested)

    def stop(self, number: int) -> Cancelled:
        """The exception for a signal."""
        return Preempted(number) if number in self._preempting else Cancelled(number)


@contextmanager
def catch_signals(scheduled: bool = False) -> Iterator[Interruption]:
    """Turn signals into `Cancelled` inside the block; its end restores the handlers from before."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    interruption = Interruption(scheduled)
    interruption.install()
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
