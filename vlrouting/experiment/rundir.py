"""The run directory: the contract between whoever trains a point and whoever reads what came out."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout

from vlrouting.config import ExperimentConfig, TunedConfig
from vlrouting.config.fit import objection, spelled
from vlrouting.config.limits import NotNegative, OneOf, Range
from vlrouting.experiment.atomic import sweep_temporary, write_json_atomic, write_text_atomic
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.json_file import read_object
from vlrouting.experiment.safe_yaml import Unreadable, load_mapping, load_text
from vlrouting.experiment.schema import decides, flatten

log = logging.getLogger(__name__)

RESULT_NEUTRAL = frozenset(
    {
        "train.workers",
        "train.devices",
        "train.nodes",
        "train.strategy",
        "train.checkpoint_every_steps",
        "train.log_every_steps",
        "train.logger",
        "language.attention",
        "vision.cache",
        "vision.cache_dir",
        "evaluate.panel",
        "compare.baseline",
        "tuned",
        *(f"tuned.{field.name}" for field in fields(TunedConfig)),
    }
)
"""Keys that change nothing of what a run gives but its last digits; a run may resume with other values of them. Of a
tuning, the chosen values count, in their own keys, and not how they were chosen."""

COMPLETE = "complete"
UNREADABLE = "unreadable"
STATUSES = ("queued", "running", COMPLETE, "failed", "cancelled", "preempted")
_Number = Annotated[int, Range(least=0, most=2**63 - 1)]
_RUN_FIELDS: dict[str, Any] = {
    "status": Annotated[str, OneOf(STATUSES)] | None,
    **dict.fromkeys(("error", "main_metric", "device", "precision", "signal"), str | None),
    **dict.fromkeys(("metric_variant", "code_version", "data_hash", "device_kind"), str | None),
    "weights": dict[str, Any] | None,
    "swept": dict[str, Any],
    "diverged": bool | None,
    **dict.fromkeys(("shown_metrics", "not_computed"), dict[str, str] | None),
    "datasets": dict[str, dict[str, Any]] | None,
    **dict.fromkeys(
        ("seed", "failed_rank", "trained_parameters", "total_parameters", "peak_memory_bytes"), _Number | None
    ),
    **dict.fromkeys(("wall_seconds", "samples_per_second"), NotNegative | None),
}
"""Fields of run.json that are relied on."""


class RunDirectory:
    """`runs/<experiment>/<point>/`.

    Fields of run.json: `status` (queued, running, complete, failed, cancelled, preempted), `error`, `failed_rank` and
    `signal` (of the process of a group that failed or was killed, where that is known), `swept` (the keys that differ
    over the sweep, with this point's values), `git_commit`, `git_dirty`, `code_version` (digest of the package's Python
    files), `packages`, `python`, `platform`, `host`, `device`, `device_kind` (model of the GPU, or `cpu`), `precision`,
    `seed`, `main_metric` (key in metrics.json), `shown_metrics` (key -> title in a table, with the metric's variant),
    `metric_variant` (title of the main metric), `data_hash` (eight digits of the training examples and eight of the
    scored ones, see `vlrouting.data.content_hash`), `weights` (`language` and `vision` -> dtype -> fingerprint of the
    frozen weights, or null), `not_computed` (metric -> why, and what to do), `trained_parameters`, `total_parameters`,
    `peak_memory_bytes`, `wall_seconds` (of training, resumed parts added up), `samples_per_second`, `stopped_early`
    (why, where `train.early_stopping` ended the training; else null), `diverged` (whether the run failed because its
    numbers were no longer finite), `datasets` (of a run on several: name -> `metric`, the main one; `examples`, of the
    training split; `batch_size`; `steps_per_epoch`). Runs of older versions lack the later ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        """Resolved, sufficient to repeat the run."""
        self.run_json = self.path / "run.json"
        self.metrics = self.path / "metrics.json"
        """Flat: {"test/vqa_accuracy": 61.2, …}."""
        self.predictions = self.path / "predictions.jsonl"
        """A line per test example, sorted by id (see `vlrouting.tasks.prediction_records`). With several datasets each
        has its `dataset`, and they stand one after the other."""
        self.panel = self.path / "panel.png"
        """Test images with what was predicted."""
        self.data = self.path / "data.json"
        """What the data are like (see `vlrouting.data.inspection.data_file`); runs of older versions have none."""
        self.analysis = self.path / "analysis.json"
        """What routing does, as `vlrouting analyse` measures it."""
        self.artifact = self.path / "artifact"
        self.last = self.path / "checkpoints" / "last.ckpt"
        self.best = self.path / "checkpoints" / "best.ckpt"
        self.previous = self.path / "checkpoints" / "previous.ckpt"
        """The checkpoint before the last, for when the last is damaged."""
        self.tensorboard = self.path / "tensorboard"
        self.log = self.path / "log.txt"
        """What the point's processes printed, where they are started by a launcher."""
        self.selection = self.path / "selection.json"
        """What `select` has chosen, where the experiment has a selector."""
        self.progress = self.path / "progress.json"
        self.attempts = self.path / "attempts.jsonl"

    def data_of(self, dataset: str) -> Path:
        """The `data.json` of one of several datasets, `NAME_data.json`; without a name, that of the only one."""
        return self.path / f"{dataset}_{self.data.name}" if dataset else self.data

    def data_files(self) -> dict[str, Path]:
        """Dataset -> its `data.json`, where there is one; the name of the only dataset is empty."""
        if self.data.exists():
            return {"": self.data}
        ending = f"_{self.data.name}"
        return {path.name.removesuffix(ending): path for path in sorted(self.path.glob(f"*{ending}"))}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the directory for this process. The operating system frees it when the process dies.

        Raises:
            UserError: another process holds it; the text names that process and its host.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.path} is in use by {self._holder()}. Wait for it, or stop it first.") from None
        try:
            write_json_atomic(self._holder_file, {"pid": os.getpid(), "host": socket.gethostname()})
            yield
        finally:
            self._holder_file.unlink(missing_ok=True)
            lock.release()

    def prepare(self, config_yaml: str) -> None:
        """Makes the directory ready for a run with this configuration. Hold `lock()` around it.

        Raises:
            UserError: the directory belongs to another configuration; the text lists the keys, old -> new.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        sweep_temporary(self.path)
        self.refuse_other_settings(config_yaml)
        if not self.is_complete():
            write_text_atomic(self.config, config_yaml)

    def status(self) -> str | None:
        """The status in run.json; None when no run has started, `unreadable` (and a warning) when it is damaged."""
        try:
            run = self.read_run()
        except UserError as error:
            log.warning("%s The point counts as not complete.", error)
            return UNREADABLE
        return str(run["status"]) if run.get("status") is not None else None

    def is_complete(self) -> bool:
        """Whether training and evaluation came to their end and left what they should."""
        if self.status() != COMPLETE:
            return False
        try:
            measured = bool(self.read_metrics())
        except UserError as error:
            log.warning("%s The point counts as not complete.", error)
            return False
        kept = ("adapter_config.json", "adapter_model.safetensors")
        return measured and all((self.artifact / name).is_file() for name in kept)

    def has_diverged(self) -> bool:
        """Whether the run failed because its numbers were no longer finite."""
        return self.status() == "failed" and self.read_run().get("diverged") is True

    def read_run(self) -> dict[str, object]:
        """run.json; empty when there is none.

        Raises:
            UserError: it is damaged.
        """
        return read_object(self.run_json, _RUN_FIELDS) if self.run_json.exists() else {}

    def update_run(self, **fields: object) -> None:
        """Changes fields of run.json and keeps the others; a damaged file is replaced."""
        try:
            run = self.read_run()
        except UserError as error:
            log.warning("%s It is written again.", error)
            run = {}
        write_json_atomic(self.run_json, {**run, **fields})

    def read_metrics(self) -> dict[str, float]:
        """metrics.json; empty when there is none.

        Raises:
            UserError: it is damaged, or a value is no number.
        """
        metrics: dict[str, float] = {}
        for name, value in (read_object(self.metrics) if self.metrics.exists() else {}).items():
            if (problem := objection(value, float)) is not None:
                raise UserError(f"{self.metrics} is damaged: '{name}': {problem.message}.")
            metrics[name] = value
        return metrics

    def read_config(self) -> dict[str, object]:
        """config.yaml as dotted keys; a key that the file does not know yet has its default.

        Raises:
            UserError: it is missing or damaged.
        """
        try:
            return settings_of(load_mapping(self.config))
        except Unreadable as error:
            raise UserError(f"{self.config} is damaged: {error}.") from error

    @property
    def _holder_file(self) -> Path:
        return self.path / ".lock.json"

    def _holder(self) -> str:
        try:
            holder = read_object(self._holder_file)
            return f"process {holder['pid']} on {holder['host']}"
        except (UserError, KeyError):
            return "another process"

    def refuse_other_settings(self, config_yaml: str) -> None:
        """Nothing when no run has started here, or one with this configuration.

        Raises:
            UserError: the directory belongs to another configuration; the text lists the keys, old -> new.
        """
        if not self.config.exists():
            return
        remedy = f"Name another point or experiment, or remove the old run: rm -r '{self.path}'"
        try:
            old = self.read_config()
        except UserError as error:
            raise UserError(f"{error} {remedy}") from error
        changes = differences(old, settings_of(load_text(config_yaml)))
        if changes:
            listed = "\n".join(f"  {change}" for change in changes)
            raise UserError(f"{self.path} holds a run with other settings (old → new):\n{listed}\n{remedy}")


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """`train.lr: 0.001 → 0.002` for every dotted key that may change the result. A value that is still to be chosen by
    the tuning is no difference."""
    absent = "(absent)"
    return [
        f"{key}: {spelled(old.get(key, absent))} → {spelled(new.get(key, absent))}"
        for key in differing_keys(old, new)
        if not any(decides(tuned, key) for tuned in (*_to_choose(old), *_to_choose(new)))
    ]


def differing_keys(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Every dotted key that may change the result and has another value."""
    absent = object()
    keys = dict.fromkeys([*new, *old])
    return [key for key in keys if key not in RESULT_NEUTRAL and old.get(key, absent) != new.get(key, absent)]


def tuned_keys(settings: Mapping[str, object]) -> list[str]:
    """The keys of a config.yaml that the tuning chooses."""
    keys = settings.get("tuned.keys")
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []


def _to_choose(settings: Mapping[str, object]) -> list[str]:
    return tuned_keys(settings) if settings.get("tuned.trial") is None else []


def settings_of(tree: Mapping[str, Any]) -> dict[str, object]:
    """The dotted keys of a config.yaml. A run of an older version lacks later keys: it ran with their defaults."""
    given = {key: value if _is_plain(value) else repr(value) for key, value in flatten(tree).items()}
    defaults = asdict(ExperimentConfig())
    if tree.get("datasets"):
        del defaults["data"], defaults["datasets"]
    return flatten(defaults) | given


def _is_plain(value: object) -> bool:
    """Whether it is of a type that a configuration has; a damaged file may hold anything that YAML knows."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value in ({}, None) or isinstance(value, (str, int, float))
