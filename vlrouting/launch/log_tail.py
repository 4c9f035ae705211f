"""The end of what a point's processes printed."""

from __future__ import annotations

from pathlib import Path

TAIL_BYTES = 64 * 1024


def log_tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file that have something in them; of a progress bar, which overwrites itself, the last state.
    Empty when there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    shown = (line.rstrip().rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return [line for line in shown if line][-lines:]
