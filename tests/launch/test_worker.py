"""A worker's exit statuses, in this process: what tells a launcher whether to start the point again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_experiment import write_experiment
from vlrouting.data.example import DataError
from vlrouting.experiment import RunDirectory, UserError, load, to_yaml
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.exit_status import ExitStatus
from vlrouting.launch import worker
from vlrouting.tasks.scored import TaskModule
from vlrouting.training import point
from vlrouting.training.user_errors import PointFailure


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run directory as a launcher leaves it for the worker."""
    monkeypatch.chdir(tmp_path)
    experiment = load(str(write_experiment(tmp_path)))
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    run.prepare(to_yaml(experiment.points[0].config))
    run.update_run(status="queued", error=None, swept={})
    return run


def raising(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


def test_complete(run: RunDirectory) -> None:
    assert worker.run_worker(run.path) == ExitStatus.COMPLETE
    assert run.is_complete()
    assert [attempt.outcome for attempt in Attempts(run.attempts).read()] == ["complete"]


@pytest.mark.parametrize(
    ("error", "status", "traceback"),
    [
        (UserError("no such key"), ExitStatus.USER_ERROR, False),
        (DataError("no such file"), ExitStatus.USER_ERROR, False),
        (OSError(28, "No space left on device", "somewhere"), ExitStatus.USER_ERROR, False),
        (PointFailure("it diverged"), ExitStatus.FAILED, False),
        (MemoryError(), ExitStatus.FAILED, False),
        (RuntimeError("a bug"), ExitStatus.FAILED, True),
        (OSError(5, "Input/output error"), ExitStatus.FAILED, True),
    ],
)
def test_failures(
    error: Exception,
    status: ExitStatus,
    traceback: bool,
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(point, "build_point", raising(error))
    assert worker.run_worker(run.path) == status
    assert ("Traceback" in capsys.readouterr().err) == traceback
    stored = run.read_run()
    assert stored["status"] == "failed" and stored["error"]
    assert [attempt.outcome for attempt in Attempts(run.attempts).read()] == ["failed"]


def test_what_is_wrong_before_the_attempt(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert worker.run_worker(run.path) == ExitStatus.USER_ERROR  # the configuration is for one process
    run.config.unlink()
    assert worker.run_worker(run.path) == ExitStatus.USER_ERROR
    monkeypatch.setattr(sys, "argv", ["worker"])
    with pytest.raises(SystemExit) as ended:
        worker.main()
    assert ended.value.code == ExitStatus.USER_ERROR


def test_another_rank_tells_why_it_fails(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "1", "VLROUTING_GROUP": "g"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(point, "build_point", raising(RuntimeError("a bug")))
    assert worker.run_worker(run.path) == ExitStatus.FAILED
    (attempt,) = Attempts(run.attempts).read()
    assert (attempt.rank, attempt.group, attempt.reason) == (1, "g", "rank 1: RuntimeError: a bug")


@pytest.mark.parametrize(
    ("number", "status", "stored", "step"),
    [
        (signal.SIGUSR2, ExitStatus.PREEMPTED, "preempted", 1),
        (signal.SIGUSR1, ExitStatus.PREEMPTED, "preempted", 1),
        (signal.SIGTERM, 128 + signal.SIGTERM, "cancelled", None),
        (signal.SIGINT, 128 + signal.SIGINT, "cancelled", None),
    ],
)
def test_a_signal_while_the_point_is_set_up(
    number: signal.Signals,
    status: int,
    stored: str,
    step: int | None,
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A notice waits until the first step is saved; a user's wish ends it at once."""
    build = point.build_point

    def signalled(*arguments: Any, **options: Any) -> object:
        os.kill(os.getpid(), number)
        return build(*arguments, **options)

    monkeypatch.setattr(point, "build_point", signalled)
    assert worker.run_worker(run.path) == status
    assert run.status() == stored
    assert run.last.is_file() == (step is not None)
    if step is not None:
        monkeypatch.setattr(point, "build_point", build)
        assert worker.run_worker(run.path) == ExitStatus.COMPLETE
        first, second = Attempts(run.attempts).read()
        assert (first.first_step, second.first_step) == (0, step)


def test_time_is_up_while_the_point_is_set_up(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """TERM after the notice: there is no time for a step, and the point goes back to the queue."""
    for name, value in {"SLURM_PROCID": "0", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "1", "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)

    def signalled(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(point, "build_point", signalled)
    monkeypatch.setattr(worker, "_check_node", lambda *_: None)
    assert worker.run_worker(run.path) == ExitStatus.PREEMPTED
    assert run.status() == "preempted" and not run.last.exists()


def test_a_notice_during_the_set_up_of_a_run_that_is_trained_already(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TaskModule, "on_test_epoch_end", raising(RuntimeError("a bug")))
        assert worker.run_worker(run.path) == ExitStatus.FAILED
    build = point.build_point

    def signalled(*arguments: Any, **options: Any) -> object:
        os.kill(os.getpid(), signal.SIGUSR2)
        return build(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(point, "build_point", signalled)
        assert worker.run_worker(run.path) == ExitStatus.PREEMPTED
    assert worker.run_worker(run.path) == ExitStatus.COMPLETE


def test_the_handlers_are_there_before_torch_is_imported() -> None:
    code = "import sys; from vlrouting.launch import worker; print('torch' in sys.modules, 'lightning' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False"], done.stderr


# Lightning gets its classes without the rest of torchmetrics; a plug-in that asks for more gets all of it.
QUICK = """
import gc, sys
from vlrouting.training.quick_imports import quick_imports
with quick_imports():
    import lightning
assert gc.isenabled() and gc.get_freeze_count()
assert "torchmetrics.functional" not in sys.modules
from lightning.pytorch.core.module import Metric
import torchmetrics
assert isinstance(torchmetrics.MeanMetric(), Metric) and torchmetrics.Metric is Metric
assert torchmetrics.functional is sys.modules["torchmetrics.functional"] and torchmetrics.__version__
"""


@pytest.mark.slow
def test_torchmetrics_is_loaded_in_part_until_somebody_wants_all_of_it() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", QUICK], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
