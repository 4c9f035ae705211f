"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console

PIPE_WIDTH = 1000
"""Width in columns if standard output is a file or a pipe."""


def standard_output() -> Console:
    """Standard output, as wide as its terminal, or `PIPE_WIDTH` if it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)
