"""How far a point is, told by the process that runs it to whoever watches: on this machine or over a shared disk."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """What progress.json holds."""

    phase: str
    """`preparing`, `training`, `testing`."""
    step: int = 0
    """Optimizer steps that are done; batches, while testing."""
    total: int = 0
    """Of how many; 0 where that is not known yet."""
    loss: float | None = None
    steps_per_second: float | None = None
    updated: float = 0.0
    """Seconds since 1970."""

    @property
    def remaining_seconds(self) -> float | None:
        """Until the phase ends, at the present rate."""
        if not self.steps_per_second or not self.total:
            return None
        return (self.total - self.step) / self.steps_per_second


def write_progress(path: Path, progress: Progress) -> None:
    """Replace the file whole. A disk that takes no more is not worth stopping for: the file only informs."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)


def read_progress(path: Path) -> Progress | None:
    """None when there is none, or nothing that can be read."""
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
