"""What the run directories of one experiment say, a row for each point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from vlrouting.config import BUILTIN_ROUTINGS, CROSS_ATTENTION, FEATURES, KINDS, PLACES, POSITIONS, VISUAL_INPUTS
from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.rundir import COMPLETE, RESULT_NEUTRAL, UNREADABLE

RUNNING, CUT_OFF, FAILED, CANCELLED = "running", "cut off", "failed", "cancelled"
VISUAL_INPUT, SEED = "model.visual_input", "seed"

CONVENTIONAL_ORDER: Mapping[str, tuple[str, ...]] = {
    VISUAL_INPUT: VISUAL_INPUTS,
    "vision.features": FEATURES,
    "bottleneck.kind": KINDS,
    "bottleneck.routing": (*BUILTIN_ROUTINGS, CROSS_ATTENTION),
    "bottleneck.place": PLACES,
    "bottleneck.position": POSITIONS,
}
"""Values in the order in which the paper and the configuration name them: the baseline first."""


@dataclass(frozen=True)
class Row:
    """One point. The numbers are there only when it is complete."""

    name: str
    """The point's name, which is that of its folder."""
    status: str
    """complete, running, cut off, failed, cancelled or unreadable."""
    reason: str = ""
    """Why it is not complete, in one line, where that is known."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """config.yaml as dotted keys; empty when the file cannot be read."""
    differing: Mapping[str, object] = field(default_factory=dict)
    """Those settings that differ over the experiment's points and may change a result."""
    metric: str = ""
    """The main metric in words, with the variant of its evaluation code."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """metrics.json."""
    trained_parameters: int | None = None
    total_parameters: int | None = None
    train_seconds: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the point has results."""
        return self.status == COMPLETE

    @property
    def seed(self) -> object:
        """The seed in config.yaml; None when that cannot be read."""
        return self.settings.get(SEED)

    @property
    def blind(self) -> bool:
        """Whether the model never saw the image: the floor of the comparison."""
        return self.settings.get(VISUAL_INPUT) == "none"


def collect(folder: Path) -> list[Row]:
    """A row for every run directory in `runs/<experiment>`; empty when there is none, or no such folder.

    The order follows from the settings alone, so that it is the same after a resumed or a copied run: first by what the
    model sees (the blind floor comes last), then by the differing keys in the configuration's order, the seed last.
    Numbers ascend, names stand as in `CONVENTIONAL_ORDER`, else by the alphabet. Unreadable settings are at the end.
    """
    rows = [_read(path) for path in point_folders(folder)]
    keys = _differing_keys([row.settings for row in rows if row.settings])
    rows = [replace(row, differing={key: row.settings.get(key) for key in keys if row.settings}) for row in rows]
    return sorted(rows, key=lambda row: (not row.settings, [_rank(*item) for item in row.differing.items()], row.name))


def point_folders(folder: Path) -> list[Path]:
    """The run directories in a folder: those in which a run has left its settings or its state."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in inside if (path / "config.yaml").is_file() or (path / "run.json").is_file()]


def _read(path: Path) -> Row:
    run = RunDirectory(path)
    try:
        row = Row(path.name, UNREADABLE, settings=run.read_config())
        row = replace(row, **_state(run))
        return replace(row, **_results(run)) if row.complete else row
    except UserError as error:
        settings = row.settings if "row" in locals() else {}
        return Row(path.name, UNREADABLE, str(error), settings)


def _differing_keys(settings: list[Mapping[str, object]]) -> list[str]:
    everything = list(dict.fromkeys(key for one in settings for key in one if key not in RESULT_NEUTRAL))
    keys = [key for key in everything if any(one.get(key) != settings[0].get(key) for one in settings)]
    return sorted(keys, key=lambda key: (key != VISUAL_INPUT, key == SEED))


def _rank(key: str, value: object) -> tuple[int, float, str]:
    known = CONVENTIONAL_ORDER.get(key, ())
    if value in known:
        return 0, known.index(str(value)), ""
    if value is None:
        return 1, 0, ""
    return (2, value, "") if isinstance(value, (int, float)) else (3, 0, str(value))
