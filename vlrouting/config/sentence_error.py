"""The base of errors whose message is all that a user needs, also when a data-loading process raises them."""

from __future__ import annotations


class SentenceError(ValueError):
    """The message says what is wrong and what to do; users need no traceback."""

    def __init__(self, message: str) -> None:
        # A DataLoader re-raises a worker's error with the formatted traceback as message; keep only the last part.
        own = f"\n{type(self).__module__}.{type(self).__qualname__}: "
        super().__init__(message.rpartition(own)[2].rstrip("\n"))
