"""Reads the run directories of an experiment into rows, one per point."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlrouting.config.names import did_you_mean
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.rundir import COMPLETE, RESULT_NEUTRAL, UNREADABLE, RunDirectory

NOT_STARTED = "not started"
PROVENANCE = {
    "code": "code version",
    "data": "data",
    "metric": "metric variant",
    "precision": "precision",
    "device": "device kind",
}
"""What points may not differ in if their scores are averaged or compared -> what it is called in a message."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Row:
    """One point. Only a complete row has numbers."""

    variant: str
    """The point's name."""
    status: str
    """`complete`, `running`, `failed`, `cancelled`, `not started`, or `unreadable` if a file is corrupt."""
    reason: str = ""
    """Why the point is not complete, or why a metric is missing."""
    trainable_parameters: int | None = None
    total_parameters: int | None = None
    seconds: float | None = None
    """Training time."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Content of metrics.json."""
    main_metric: str = ""
    """Key of the metric that variants are compared by."""
    datasets: dict[str, str] = field(default_factory=dict)
    """Name -> key of its main metric, of a run on several datasets, whose own main metric is the mean of these."""
    titles: dict[str, str] = field(default_factory=dict)
    """Metric key -> column title, in the order of the table."""
    seed: int | None = None
    setting: str = ""
    """Equal for points that differ only in the seed."""
    experiment: str = ""
    folder: Path | None = None
    """The run directory."""
    settings: dict[str, object] = field(default_factory=dict)
    """Dotted key -> value, of every key that may change the result, without the seed."""
    provenance: dict[str, str] = field(default_factory=dict)
    """What may not differ between points that are averaged or compared, where it is known: see `PROVENANCE`."""
    peak_memory_bytes: int | None = None
    tuned: dict[str, object] = field(default_factory=dict)
    """Key -> value that was chosen on the validation split."""
    at_edge: tuple[str, ...] = ()
    """Those of the tuned keys whose value is the first or last that was tried."""
    baseline: str | None = None
    """`compare.baseline` of its config.yaml."""

    @property
    def complete(self) -> bool:
        """Whether the row has numbers."""
        return self.status == COMPLETE

    @property
    def metric_name(self) -> str:
        """Title of the main metric, with the variant of its evaluation code."""
        return self.titles.get(self.main_metric, self.main_metric)

    @property
    def main(self) -> float | None:
        """Value of the main metric."""
        return self.metrics.get(self.main_metric)


def collect(experiment_runs: Path) -> list[Row]:
    """Read `runs/<experiment>/`: complete rows first, each part sorted by name."""
    runs = [RunDirectory(path) for path in _folders(experiment_runs)]
    rows = [_row(run) for run in runs if run.config.exists() or run.run_json.exists()]
    return sorted(rows, key=lambda row: (not row.complete, _by_value(row.variant)))


def require_runs(experiment_runs: Path, rows: Sequence[Row]) -> None:
    """
    Raises:
        UserError: there are no rows; an experiment with a similar name that has runs is named.
    """
    if not rows:
        name = experiment_runs.name
        others = (path.name for path in _folders(experiment_runs.parent) if path.name != name)
        hint = did_you_mean(name, others)
        raise UserError(f"{experiment_runs}/ holds no runs; train the experiment: vlrouting train {name}.{hint}")


def _folders(path: Path) -> list[Path]:
    """The folders in a folder; none where it is not there."""
    if not path.is_dir():
        return []
    return [inside for inside in path.iterdir() if inside.is_dir() and not inside.name.startswith(".")]


def metric_keys(rows: Iterable[Row]) -> list[str]:
    """Metrics that a table can show: those with a title, then every other one of a whole test split: `test/<name>`, of
    one of several datasets `test/<dataset>/<name>`."""
    complete = [row for row in rows if row.complete]
    others = sorted({key for row in complete for key in row.metrics if _is_of_split(key, row.datasets)})
    return list(dict.fromkeys([*titled_keys(rows), *others]))


def _is_of_split(key: str, datasets: Iterable[str]) -> bool:
    """Whether a metric is no part of a score, such as that of one type of question."""
    split, _, name = key.partition("/")
    dataset, _, of_dataset = name.partition("/")
    return split == "test" and "/" not in (of_dataset if dataset in datasets else name)


def titled_keys(rows: Iterable[Row]) -> list[str]:
    """The metrics that have a title in a complete row, in the order of the table."""
    return list(dict.fromkeys(key for row in rows if row.complete for key in row.titles))


def _row(run: RunDirectory) -> Row:
    variant = run.path.name
    try:
        record = run.read_run()
        status = str(record.get("status", NOT_STARTED))
        if status != COMPLETE:
            return Row(
                variant, status, str(record.get("error") or ""), experiment=run.path.parent.name, folder=run.path
            )
        return _complete_row(run, record)
    except UserError as error:
        return Row(variant, UNREADABLE, str(error), experiment=run.path.parent.name, folder=run.path)


def _complete_row(run: RunDirectory, record: dict[str, object]) -> Row:
    config = run.read_config()
    main_metric = str(record.get("main_metric") or "")
    datasets = _datasets(record, main_metric)
    titles, not_computed = _texts(record.get("shown_metrics")), _texts(record.get("not_computed"))
    metrics = run.read_metrics()
    if main_metric not in metrics and not not_computed:
        raise UserError(f"{run.metrics} has no '{main_metric}'.")
    seed = config.pop("seed")
    settings = {key: value for key, value in config.items() if not _is_neutral(key)}
    return Row(
        variant=run.path.name,
        status=COMPLETE,
        reason=_why_not(not_computed),
        trainable_parameters=_whole(record.get("trained_parameters")),
        total_parameters=_whole(record.get("total_parameters")),
        seconds=_number(record.get("wall_seconds")),
        metrics=metrics,
        main_metric=main_metric,
        datasets=datasets,
        titles=titles or {main_metric: main_metric},
        seed=_whole(seed),
        setting=json.dumps(settings, sort_keys=True, default=str),
        experiment=run.path.parent.name,
        folder=run.path,
        settings=settings,
        provenance=_provenance(record, _metric_variant(titles, main_metric, datasets)),
        peak_memory_bytes=_whole(record.get("peak_memory_bytes")),
        tuned={key: config.get(key) for key in _names(config.get("tuned.keys"))},
        at_edge=tuple(_names(config.get("tuned.edges"))),
        baseline=_text(config.get("compare.baseline")),
    )


def _datasets(record: dict[str, object], main_metric: str) -> dict[str, str]:
    """`Row.datasets`, from the main metric's name in each of the `datasets` of a run.json."""
    found = record.get("datasets")
    split = main_metric.partition("/")[0]
    return {name: f"{split}/{name}/{of.get('metric')}" for name, of in found.items()} if isinstance(found, dict) else {}


def _metric_variant(titles: dict[str, str], main_metric: str, datasets: dict[str, str]) -> str | None:
    """Which evaluation code gave the main metric: of a mean, that of every dataset."""
    if not datasets:
        return titles.get(main_metric)
    return "; ".join(titles.get(key, key) for key in datasets.values())


def _is_neutral(key: str) -> bool:
    """Whether a key does not make another variant. What was tuned is in its own key; `tuned` says how it was chosen."""
    return key in RESULT_NEUTRAL or key.partition(".")[0] == "tuned"


def _provenance(record: dict[str, object], title: str | None) -> dict[str, str]:
    """Of a run.json; what an older one lacks is unknown, not different."""
    names = {"code": "code_version", "data": "data_hash", "precision": "precision", "device": "device_kind"}
    found = {field: record.get(name) for field, name in names.items()} | {"metric": title}
    return {field: str(found[field]) for field in PROVENANCE if found[field]}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _why_not(not_computed: dict[str, str]) -> str:
    """`CIDEr, METEOR not computed: needs Java …`: metrics with the same reason share one note."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        by_reason.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)} not computed: {reason}" for reason, names in by_reason.items())


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}


def _by_value(name: str) -> list[tuple[int, float, str]]:
    """Sorts `lr=0.0003` before `lr=0.001`, `rank=8` before `rank=64`, and `vit_8` before `vit_16`."""
    found: list[tuple[int, float, str]] = []
    for part in name.split(","):
        key, _, value = part.rpartition("=")
        found += _digits(key) + ([(0, float(value), "")] if _NUMBER.fullmatch(value) else _digits(value))
    return found


def _digits(text: str) -> list[tuple[int, float, str]]:
    parts = re.split(r"(\d+)", text)
    return [(0, float(part), "") if part.isdecimal() else (1, 0.0, part) for part in parts if part]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
