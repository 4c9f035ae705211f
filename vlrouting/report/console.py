"""Where tables are printed."""

from __future__ import annotations

from rich.console import Console

PIPE_WIDTH = 1000
"""Columns of what is no terminal: a file or a pipe takes any line whole."""


def standard_output() -> Console:
    """Standard output, as wide as its terminal; where there is none, as wide as a table may need."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)
