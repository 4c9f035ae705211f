"""The tuning runs of a variant: which values were tried, and what each scored on the validation split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vlrouting.config.fit import spelled
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.rundir import COMPLETE, UNREADABLE, RunDirectory
from vlrouting.experiment.trials import TUNING
from vlrouting.report.comparison import Variant
from vlrouting.report.rows import NOT_STARTED

DIVERGED = "diverged"


@dataclass(frozen=True)
class Trial:
    """One tuning run."""

    name: str
    values: dict[str, object]
    """Tuned key -> the value that was tried."""
    score: float | None
    """On the validation split; None where the run is not complete, or its score is no number."""
    status: str
    """As `Row.status`, or `diverged`."""
    reason: str = ""
    chosen: bool = False

    @property
    def described(self) -> str:
        """`train.lr = 0.001`, or the name of a run whose configuration cannot be read."""
        return ", ".join(f"{key} = {spelled(value)}" for key, value in self.values.items()) or self.name


@dataclass(frozen=True)
class Tuning:
    """All tuning runs of a variant."""

    metric: str
    """Key in metrics.json, such as `validation/vqa_accuracy`."""
    trials: tuple[Trial, ...]
    at_edge: tuple[str, ...]
    """Keys whose chosen value is the first or the last of its grid."""


def tuning_of(variant: Variant) -> Tuning | None:
    """What config.yaml of the variant's first readable run names; None where nothing was tuned."""
    for row in (*variant.runs, *variant.unfinished):
        if row.folder is None:
            continue
        try:
            config = RunDirectory(row.folder).read_config()
        except UserError:
            continue
        if config.get("tuned.keys"):
            return _tuning(config, row.folder.parent / TUNING)
    return None


def _tuning(config: dict[str, object], folder: Path) -> Tuning:
    keys, names = _texts(config.get("tuned.keys")), _texts(config.get("tuned.trials"))
    metric, chosen = str(config.get("tuned.metric") or ""), config.get("tuned.trial")
    trials = tuple(_trial(RunDirectory(folder / name), keys, metric, chosen=name == chosen) for name in names)
    return Tuning(metric, trials, tuple(_texts(config.get("tuned.edges"))))


def _trial(run: RunDirectory, keys: list[str], metric: str, *, chosen: bool) -> Trial:
    name, values = run.path.name, {}
    try:
        config = run.read_config() if run.config.exists() else {}
        values = {key: config[key] for key in keys if key in config}
        record, metrics = run.read_run(), run.read_metrics()
    except UserError as error:
        return Trial(name, values, None, UNREADABLE, str(error), chosen)
    status = DIVERGED if run.has_diverged() else str(record.get("status") or NOT_STARTED)
    score = metrics.get(metric or str(record.get("main_metric"))) if status == COMPLETE else None
    return Trial(name, values, score, status, str(record.get("error") or ""), chosen)


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
