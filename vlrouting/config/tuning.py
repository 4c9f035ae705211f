"""What the tuning of a variant has chosen, as the run directory of a point keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.limits import Range
from vlrouting.config.problem import Problem


@dataclass
class TunedConfig:
    """Values that `sweep.tune` chose for the point, and what they were chosen from. Training writes this section."""

    keys: list[str] = field(default_factory=list)
    """Keys whose values were chosen; each value stands in its own section."""
    trials: list[str] = field(default_factory=list)
    """Trials in the order of the grid: folders below runs/<experiment>/tuning/."""
    trial: str | None = None
    """The best trial. null: the choice is made when all trials have ended."""
    metric: str | None = None
    """Key in the trials' metrics.json."""
    score: Annotated[float, Range(least=-1e12, most=1e12)] | None = None
    """The best trial's value of it."""
    edges: list[str] = field(default_factory=list)
    """Keys whose chosen value is the least or the greatest of its grid: a wider grid may have a better one."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return []
