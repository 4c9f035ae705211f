"""What a field may hold beside its type, written next to it: `rank: Annotated[int, Range(least=1)] = 64`.

`fit` checks it, wherever the value comes from: a file, the command line, an artifact, a notebook.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from vlrouting.config.registry import Registry

LARGEST = 3.4e38
"""Largest magnitude of a number: what float32, in which everything is computed, can hold."""
SHOWN = 60
"""Characters of a value that a message shows."""


@dataclass(frozen=True)
class Range:
    """The numbers that make sense. Every number is finite besides, also where nothing is declared."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def objection(self, value: float) -> str:
        """Why a number is refused; empty when it is not."""
        if abs(value) > LARGEST or value != value:
            return f"{shortened(value)} is not a finite number"
        if self._holds(value):
            return ""
        if self._is_interval:
            return f"{value} is not {self}"
        if self.least is not None and value < self.least:
            return f"{shortened(value)} is below {self.least:g}"
        if self.above is not None and value <= self.above:
            return f"{value} is not above {self.above:g}"
        return f"{shortened(value)} is above {self.most:,}"

    def _holds(self, value: float) -> bool:
        return not (
            (self.least is not None and value < self.least)
            or (self.above is not None and value <= self.above)
            or (self.most is not None and value > self.most)
            or (self.below is not None and value >= self.below)
        )

    @property
    def _is_interval(self) -> bool:
        """Whether it is written with brackets; a bound that only keeps absurd numbers out is not."""
        return self.below is not None or (self.above is not None and self.most is not None)

    def __str__(self) -> str:
        if self._is_interval:
            above = -math.inf if self.above is None else self.above
            start = f"({above:g}" if self.least is None else f"[{self.least:g}"
            return f"in {start}, {self.below:g})" if self.below is not None else f"in {start}, {self.most:g}]"
        words = [f"at least {self.least:,}"] if self.least is not None else []
        words += [f"above {self.above:g}"] if self.above is not None else []
        words += [f"at most {self.most:,}"] if self.most is not None else []
        return ", ".join(words)


@dataclass(frozen=True, eq=False)
class OneOf:
    """The texts that a field may have: fixed ones, or the names of a registry, plug-ins' entries included."""

    known: tuple[str, ...] | Registry[Any]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order."""
        return self.known.names() if isinstance(self.known, Registry) else self.known


@dataclass(frozen=True)
class Form:
    """The form of a text."""

    pattern: str
    """Regular expression that the whole text matches."""
    message: str
    """What is said of a text that does not: `is no amount of memory`."""
    remedy: str = ""

    def fits(self, text: str) -> bool:
        """Whether the whole text has the form."""
        return re.fullmatch(self.pattern, text, flags=re.ASCII) is not None


class MayUseEnvironment:
    """A text in which an experiment may write `${oc.env:NAME}`: a path of this machine."""


_FITS_A_PATH = Form(r"(?s)(?!.*[^/]{256}).{0,4000}", "is too long for a path")
LocalPath = Annotated[str, MayUseEnvironment(), _FITS_A_PATH]
"""A file or folder of the machine."""
ModelName = Annotated[str, _FITS_A_PATH]
"""A folder, or a name that a model hub may be asked for."""
Count = Annotated[int, Range(least=1, most=1_000_000)]
"""How many there are of something that is held in memory: examples of a batch, channels, tokens."""
Steps = Annotated[int, Range(least=1, most=1_000_000_000)]
"""Optimizer steps or batches."""
Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(least=0)]
Fraction = Annotated[float, Range(least=0, below=1)]
OneLine = Annotated[
    str,
    Form(r"(?=.*\S)[^\x00-\x1f\x7f]*", "is not one line of text", "leave it out, or null, for none"),
]
"""A text that becomes part of a line of a batch script."""


def shortened(value: object) -> str:
    """A value as text, cut where it is long."""
    try:
        text = str(value)
    except ValueError:  # Python refuses to print an integer of thousands of digits
        return "a number of thousands of digits"
    except RecursionError:
        return "a value that is nested too deeply"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
