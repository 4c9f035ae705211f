"""Exit statuses by which a process tells its launcher what to do next."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """A process that a signal ends has 128 plus the signal's number instead."""

    COMPLETE = 0
    FAILED = 1
    USER_ERROR = 2
    """Starting again would only repeat it, for this point and for the others of a sweep."""
    PREEMPTED = 75
    """Everything is saved; start the point again. EX_TEMPFAIL of sysexits.h."""
