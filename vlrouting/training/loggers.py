"""`train.logger`: Lightning's loggers, made to continue over the attempts of a run.

A resumed run repeats the steps after its checkpoint and gets the same numbers. `loggers.json` in the run directory
remembers the last step of every curve, so that a logger that only adds never gets a step twice; TensorBoard's files
are cut back to the checkpoint instead (`event_files`).
"""

from __future__ import annotations

import csv
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from vlrouting.experiment import RunDirectory, atomically, write_json_atomic
from vlrouting.training.event_files import EventLogger

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RunLogger(Protocol):
    """What a point tells its loggers, beside Lightning's `log_metrics`."""

    def log_results(
        self,
        *,
        parameters: Mapping[str, str],
        scores: Mapping[str, float],
        panel: tuple[Figure, Path] | None,
        step: int,
    ) -> None:
        """The end of a run: the swept keys, the final scores, and the figure of test images with its file."""
        ...

    def close(self) -> None:
        """Free what the logger holds: another point may follow in this process."""
        ...


def make_loggers(names: list[str], run: RunDirectory) -> list[Any]:
    """The loggers of a run, in the order of `train.logger`."""
    makers = {"tensorboard": _tensorboard, "csv": CsvLogger, "wandb": Wandb, "mlflow": MLFlow}
    return [makers[name](run) for name in names]


def _tensorboard(run: RunDirectory) -> EventLogger:
    return EventLogger(run.path, name=None, version="tensorboard", default_hp_metric=False)


class Logged:
    """What all attempts of a run have told one logger; the state is in `loggers.json`."""

    def __init__(self, run: RunDirectory, logger: str) -> None:
        self.file, self.logger = run.path / "loggers.json", logger
        state = self._read().get(logger, {})
        self.steps: dict[str, int] = state.get("steps", {})
        """Last step by the curve's name."""
        self.id: str | None = state.get("id")
        """Of the run at a service."""

    @contextmanager
    def once(self, values: Mapping[str, float], step: int | None) -> Iterator[dict[str, float]]:
        """Gives the block the values that are new, and remembers them after it; on the first process alone."""
        if rank_zero_only.rank != 0:
            yield {}
            return
        at = step or 0
        new = {name: value for name, value in values.items() if at > self.steps.get(name, -1)}
        yield new
        self.steps |= dict.fromkeys(new, at)
        self.write()

    def write(self) -> None:
        """Save the state."""
        write_json_atomic(self.file, {**self._read(), self.logger: {"id": self.id, "steps": self.steps}})

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}


class CsvLogger(CSVLogger):
    """`csv/metrics.csv` in the run directory: a row per step and kind of value."""

    def __init__(self, run: RunDirectory) -> None:
        super().__init__(run.path, name="", version="csv")
        self.logged = Logged(run, "csv")
        self._experiment: ExperimentWriter | None = None

    @property
    def experiment(self) -> ExperimentWriter:
        """The writer, which continues the file of an earlier attempt."""
        if self._experiment is None:
            self._experiment = _AppendingWriter(self.log_dir)
        return self._experiment

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # type: ignore[override]
        """Append a row."""
        with self.logged.once(metrics, step) as new:
            if new:
                super().log_metrics(new, step)  # type: ignore[arg-type]
                self.save()

    def log_results(self, *, scores: Mapping[str, float], step: int, **_: Any) -> None:
        """See `RunLogger`; the settings are in config.yaml already."""
        self.log_metrics(scores, step)

    def close(self) -> None:
        """Nothing is open."""


class _AppendingWriter(ExperimentWriter):
    """Lightning's writer removes the file of an earlier attempt, and a kill may leave half a line or half a file."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        file = Path(self.metrics_file_path)
        if file.is_file():
            content = file.read_bytes()
            file.write_bytes(content[: content.rfind(b"\n") + 1])
            with file.open(newline="") as opened:
                self.metrics_keys = next(csv.reader(opened), [])
            if not self.metrics_keys:
                file.unlink()

    def _check_log_dir_exists(self) -> None:
        """Keep what is there."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        with open(self.metrics_file_path, newline="") as opened:
            rows = list(csv.DictReader(opened))
        with atomically(Path(self.metrics_file_path)) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=fieldnames)
            writer.writeheader()
            writer.writerows(rows)


class Wandb(WandbLogger):
    """Weights & Biases: a run of the project that has the experiment's name. `WANDB_MODE=offline` writes files only."""

    def __init__(self, run: RunDirectory) -> None:
        self.logged = Logged(run, "wandb")
        self.logged.id = self.logged.id or secrets.token_hex(6)
        _end_wandb()
        super().__init__(project=run.path.parent.name, name=run.path.name, id=self.logged.id, save_dir=run.path)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log what no earlier attempt has logged."""
        with self.logged.once(metrics, step) as new:
            if new:
                super().log_metrics(new, step)

    def log_results(
        self,
        *,
        parameters: Mapping[str, str],
        scores: Mapping[str, float],
        panel: tuple[Figure, Path] | None,
        step: int,
    ) -> None:
        """See `RunLogger`."""
        self.log_hyperparams(dict(parameters))
        self.log_metrics(scores, step)
        if panel is not None:
            self.log_image("test/panel", [str(panel[1])], step)

    def finalize(self, status: str) -> None:
        """Lightning calls this after the training and after the test, and where one of them ends with an error."""
        if status == "failed":
            self.close()

    def close(self) -> None:
        """End the process that sends."""
        self._experiment: Any = None
        _end_wandb()


def _end_wandb() -> None:
    """A process has one current run of Weights & Biases, and a new logger would take over that of an earlier point."""
    import wandb

    if wandb.run is not None:
        wandb.finish()


class MLFlow(MLFlowLogger):
    """MLflow: a run of the experiment that has this one's name, at `MLFLOW_TRACKING_URI`, else in `runs/mlflow.db`."""

    def __init__(self, run: RunDirectory) -> None:
        self.logged = Logged(run, "mlflow")
        runs = run.path.resolve().parents[1]
        here = os.environ.get("MLFLOW_TRACKING_URI") is None
        super().__init__(
            experiment_name=run.path.parent.name,
            run_name=run.path.name,
            tracking_uri=f"sqlite:///{runs}/mlflow.db" if here else os.environ["MLFLOW_TRACKING_URI"],
            artifact_location=(runs / "mlartifacts").as_uri() if here else None,
            run_id=self.logged.id,
        )

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log what no earlier attempt has logged."""
        with self.logged.once(metrics, step) as new:
            if new:
                super().log_metrics(new, step)
                self.logged.id = self.run_id

    def log_results(
        self,
        *,
        parameters: Mapping[str, str],
        scores: Mapping[str, float],
        panel: tuple[Figure, Path] | None,
        step: int,
    ) -> None:
        """See `RunLogger`."""
        self.log_hyperparams(dict(parameters))
        self.log_metrics(scores, step)
        if panel is not None:
            self.experiment.log_artifact(self.run_id, str(panel[1]))

    def close(self) -> None:
        """Lightning's `finalize` has done it."""
