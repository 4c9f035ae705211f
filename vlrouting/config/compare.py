"""How the variants of an experiment are compared."""

from __future__ import annotations

from dataclasses import dataclass

from vlrouting.config.problem import Problem


@dataclass
class CompareConfig:
    """How the variants are compared; nothing of it changes a run."""

    baseline: str | None = None
    """Name of the variant that the others are compared with, as it names the run directories, without the seed:
    `routing=none`. Default: the variant with plain bottlenecks (`routing: none`) that reads the image; where there are
    several, for each variant the one that differs from it in the fewest keys."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return []
