"""Ctrl-C, TERM, a scheduler's notice: a training run finishes its step and saves; anything else stops at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PREEMPTION_SIGNALS = (signal.SIGUSR2, signal.SIGUSR1)
"""A scheduler's notice. Job scripts ask for SIGUSR2, because some versions of NCCL catch SIGUSR1
(https://github.com/NVIDIA/nccl/issues/704). Scripts that were queued earlier still send SIGUSR1."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, *PREEMPTION_SIGNALS)
PREEMPTED_STATUS = 75
"""Exit status of a point that was preempted: EX_TEMPFAIL of sysexits.h, try again."""


class Cancelled(Exception):
    """The user or the system asked to stop; what was computed is saved.

    Attributes:
        signal: which signal it was.
        exit_status: what a shell expects: 128 + its number.
    """

    status = "cancelled"

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command again goes on from there")
        self.signal = number

    @property
    def exit_status(self) -> int:
        """Of the process."""
        return 128 + self.signal


class Preempted(Cancelled):
    """A scheduler takes the machine back; the point is to be started again."""

    status = "preempted"

    @property
    def exit_status(self) -> int:
        """Of the process."""
        return PREEMPTED_STATUS


class Interruption:
    """What has been asked for so far. While `patient`, a first signal is only noted; a second one stops at once."""

    def __init__(self, scheduled: bool = False) -> None:
        """
        Args:
            scheduled: a scheduler started this process, so its TERM is a preemption and not a user's wish.
        """
        self.patient = False
        self.requested: int | None = None
        self._preempting = (*PREEMPTION_SIGNALS, *([signal.SIGTERM] if scheduled else []))

    def install(self) -> None:
        """Take the signals over. Lightning sets handlers of its own when training starts: call it again then."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # A scheduler's notice is followed by its TERM: the run is stopping already, and may take its time to save.
        first = self.requested is None or (self.requested in self._preempting and number in self._preempting)
        self.requested = number if self.requested is None else self.requested
        if not (self.patient and first):
            raise self.stop(self.requested)

    def stop(self, number: int) -> Cancelled:
        """The exception for a signal."""
        return Preempted(number) if number in self._preempting else Cancelled(number)


@contextmanager
def catch_signals(scheduled: bool = False) -> Iterator[Interruption]:
    """Signals become `Cancelled` inside the block; the handlers from before come back at its end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    interruption = Interruption(scheduled)
    interruption.install()
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
