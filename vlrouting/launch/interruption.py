"""Ctrl-C, TERM and the like: a training run finishes its step and saves; anything else stops at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Cancelled(Exception):
    """The user or the system asked to stop; what was computed is saved.

    Attributes:
        signal: which signal it was; a shell expects the exit status 128 + its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command again goes on from there")
        self.signal = number


class Interruption:
    """What has been asked for so far. While `patient`, a first signal is only noted; a second one stops at once."""

    def __init__(self) -> None:
        self.patient = False
        self.requested: int | None = None

    def install(self) -> None:
        """Take the signals over. Lightning sets handlers of its own when training starts: call it again then."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        first = self.requested is None
        self.requested = number
        if not (self.patient and first):
            raise Cancelled(number)

    def raise_if_requested(self) -> None:
        """Raises Cancelled once a signal was noted."""
        if self.requested is not None:
            raise Cancelled(self.requested)


@contextmanager
def catch_signals() -> Iterator[Interruption]:
    """Signals become `Cancelled` inside the block; the handlers from before come back at its end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    interruption = Interruption()
    interruption.install()
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
