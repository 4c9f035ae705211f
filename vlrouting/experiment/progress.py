"""How far a point is: written by the process that runs it, read by others on this machine or over a shared disk."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from vlrouting.config.fit import hints_of
from vlrouting.config.limits import NotNegative, Range
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.json_file import read_object

_Steps = Annotated[int, Range(least=0, most=2**53)]


LONGEST = 1e9
"""Seconds that are worth telling."""


@dataclass(frozen=True)
class Progress:
    """What progress.json holds."""

    phase: str
    """`preparing`, `training`, `testing`."""
    step: _Steps = 0
    """Optimizer steps that are done; batches, while testing."""
    total: _Steps = 0
    """Of how many; 0 where that is not known yet."""
    loss: float | None = None
    steps_per_second: NotNegative | None = None
    updated: NotNegative = 0.0
    """Seconds since 1970."""

    @property
    def remaining_seconds(self) -> float | None:
        """Until the phase ends, at the present rate."""
        if not self.steps_per_second or not self.total:
            return None
        return (self.total - self.step) / self.steps_per_second

    def __str__(self) -> str:
        """`training 120/550, loss 0.123, 8.1 steps/s, 1:23 left`, as much of it as is known."""
        place = f"{self.phase} {self.step}/{self.total}" if self.total else self.phase
        return ", ".join(filter(None, (place, self.note)))

    @property
    def note(self) -> str:
        """What there is to say beside the steps."""
        parts = []
        if self.loss is not None:
            parts.append(f"loss {self.loss:.3g}")
        if self.steps_per_second is not None:
            parts.append(f"{self.steps_per_second:.3g} steps/s")
        if self.remaining_seconds is not None and self.remaining_seconds < LONGEST:
            seconds = int(self.remaining_seconds)
            parts.append(f"{seconds // 60}:{seconds % 60:02d} left")
        return ", ".join(parts)


def write_progress(path: Path, progress: Progress) -> None:
    """Replace the file whole. A disk that takes no more is not worth stopping for: the file only informs."""
    if progress.loss is not None and not math.isfinite(progress.loss):
        progress = replace(progress, loss=None)  # JSON has no such numbers
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)


def read_progress(path: Path) -> Progress | None:
    """None when there is none, or nothing that can be read."""
    try:
        return Progress(**read_object(path, hints_of(Progress)))
    except (UserError, TypeError):  # another version may have written other fields
        return None


FAILED_STEP = "failed_training_step"
"""Attribute of an exception that ended the training: the step that it was at."""


def last_training_step(path: Path) -> int | None:
    """The last training step that a progress.json tells of; None outside the training."""
    progress = read_progress(path)
    return progress.step if progress is not None and progress.phase == "training" else None
