"""What a check finds: how bad it is, what was checked, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vlrouting.config.problem import Problem

Level = Literal["fault", "warning", "ok"]
FAULT: Level = "fault"
WARNING: Level = "warning"
OK: Level = "ok"
LEVELS: tuple[Level, ...] = (FAULT, WARNING, OK)


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    level: Level
    """`fault`: the run would stop, or give nothing worth having. `warning`: it would be slower, or lack something."""
    looked_at: str
    found: str
    remedy: str = ""
    """What to do; empty where `found` says it itself, as the message of an error does."""
    points: tuple[str, ...] = ()
    """Names of the points that it holds for; empty where it is about no point in particular."""


def fault(looked_at: str, problem: Problem, remedy: str = "correct this in the experiment") -> Finding:
    """A problem as a fault, with `remedy` where it has none of its own."""
    return Finding(FAULT, looked_at, problem.message_with_keys, problem.remedy or remedy)
