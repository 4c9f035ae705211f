"""How much is printed beside results and errors. Processes that this one starts are told by an environment variable."""

from __future__ import annotations

import logging
import os

VARIABLE = "VLROUTING_VERBOSITY"
QUIET, VERBOSE = "quiet", "verbose"


def choose(quiet: bool, verbose: bool) -> None:
    """Set it for this process and for those that it starts."""
    if quiet or verbose:
        os.environ[VARIABLE] = QUIET if quiet else VERBOSE
    configure_logging()


def is_quiet() -> bool:
    """Whether progress is left out."""
    return os.environ.get(VARIABLE) == QUIET


def configure_logging() -> None:
    """Write the project's log records to standard error: warnings, or everything where that is asked for."""
    level = {QUIET: logging.ERROR, VERBOSE: logging.DEBUG}.get(os.environ.get(VARIABLE, ""))
    if level is None:
        return
    if not logging.getLogger().handlers:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger(__package__).setLevel(level)
