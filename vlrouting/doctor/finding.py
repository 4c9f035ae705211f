"""What a check says: how bad it is, what was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["fault", "warning", "ok"]
FAULT: Level = "fault"
WARNING: Level = "warning"
OK: Level = "ok"
LEVELS: tuple[Level, ...] = (FAULT, WARNING, OK)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    """`fault`: the run would stop, or give nothing worth having. `warning`: it would be slower, or lack something."""
    looked_at: str
    found: str
    remedy: str = ""
    """What to do; every fault and warning has one."""
    points: tuple[str, ...] = ()
    """Names of the points that it holds for; empty where it is about no point in particular."""


def from_sentence(level: Level, looked_at: str, sentence: str) -> Finding:
    """A finding of a sentence `what is wrong; what to do`, as this project's errors are written."""
    found, _, remedy = sentence.partition("; ")
    return Finding(level, looked_at, found, remedy or "correct this in the experiment")
