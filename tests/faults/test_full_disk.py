"""A disk that is full, read-only or taken away while a point runs: one sentence that names it, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import vlrouting
from tests.faults.small_disk import fill, remount, small_disk
from tests.tiny_experiment import write_experiment
from vlrouting.experiment import RunDirectory
from vlrouting.tasks.scored import TaskModule
from vlrouting.training import point
from vlrouting.training.event_files import EventLogger

pytestmark = pytest.mark.slow


def before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, action: Callable[[], object]) -> None:
    """Do something once, before a function of the run is called."""
    original, pending = getattr(owner, name), [action]

    def called(*arguments: Any, **options: Any) -> Any:
        if pending:
            pending.pop()()
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, called)


MOMENTS: dict[str, tuple[Any, str]] = {
    "checkpoint": (TaskModule, "on_train_start"),
    "artifact": (point, "write_artifact"),
    "predictions": (point, "write_predictions"),
}
"""After the name's moment nothing more can be written."""


@pytest.mark.parametrize("what", MOMENTS)
def test_a_disk_that_fills_up_is_named_and_run_json_says_so(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_experiment(tmp_path)
    with small_disk(tmp_path / "small", "20m") as disk:
        before(monkeypatch, *MOMENTS[what], lambda: fill(disk))
        done = vlrouting("train", "tiny.yaml", "--runs", disk, cwd=tmp_path)
        run = RunDirectory(disk / "tiny" / "default")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr and f"the disk {disk} is full" in done.stderr
        stored = run.read_run()
        assert stored["status"] == "failed" and f"the disk {disk} is full" in str(stored["error"])
        assert not list(disk.rglob("*.tmp"))
        (disk / "filler").unlink()
        assert vlrouting("train", "tiny.yaml", "--runs", disk, cwd=tmp_path).returncode == 0
        assert run.is_complete() and run.read_run()["error"] is None


def test_a_full_disk_of_the_feature_cache_is_named_not_that_of_the_runs(tmp_path: Path) -> None:
    with small_disk(tmp_path / "cache", "8k") as disk:
        write_experiment(tmp_path, vision={"cache_dir": str(disk)})
        done = vlrouting("train", "tiny.yaml", cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.stderr and f"the disk {disk} is full" in done.stderr
        assert not list(disk.glob("*.tmp"))
        error = str(RunDirectory(tmp_path / "runs" / "tiny" / "default").read_run()["error"])
        assert f"the disk {disk} is full" in error
        remount(disk, "size=20m")
        assert vlrouting("train", "tiny.yaml", cwd=tmp_path).returncode == 0


def test_full_while_tensorboard_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_experiment(tmp_path, train={"checkpoint_every_steps": 100, "validate_every_steps": 10, "max_steps": 10})
    original = EventLogger.log_metrics

    def log_much(self: EventLogger, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        for step in range(200):
            self.experiment.add_text("long", "x" * 1000, step)

    with small_disk(tmp_path / "small", "2m") as disk:
        monkeypatch.setattr(EventLogger, "log_metrics", log_much)
        done = vlrouting("train", "tiny.yaml", "--runs", disk, cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.stderr and f"the disk {disk} is full" in done.stderr
        assert "full" in str(RunDirectory(disk / "tiny" / "default").read_run()["error"])


def test_full_while_data_are_prepared(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "100k") as disk:
        done = vlrouting("data", "make", "shapes", "--root", disk / "shapes", "--train", "200", cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.stderr and f"the disk {disk} is full" in done.stderr
        assert not list(disk.glob("*.unfinished"))


def test_a_complete_run_on_a_read_only_disk(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    with small_disk(tmp_path / "small", "20m") as disk:
        assert vlrouting("train", "tiny.yaml", "--runs", disk, cwd=tmp_path).returncode == 0
        remount(disk, "ro")
        for command in ("train", "compare", "status"):  # nothing need be written
            done = vlrouting(command, "tiny.yaml", "--runs", disk, cwd=tmp_path)
            assert done.returncode == 0 and "Traceback" not in done.stderr, command
            assert "complete" in done.stdout + done.stderr or "default" in done.stdout, command
        done = vlrouting("evaluate", "tiny.yaml", "--runs", disk, cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "Read-only file system" in done.stderr and str(disk) in done.stderr
        done = vlrouting("train", "tiny.yaml", "--runs", disk / "other", cwd=tmp_path)
        assert done.returncode == 2 and "Read-only file system" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("moment", [(TaskModule, "on_train_start"), (point, "write_artifact")])
def test_a_run_directory_that_is_removed_while_it_runs(
    moment: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_experiment(tmp_path)
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    before(monkeypatch, *moment, lambda: shutil.rmtree(run.path))
    done = vlrouting("train", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{Path('runs/tiny/default')} was removed while" in done.stderr and "kept" not in done.stderr
    assert not run.run_json.exists()


def test_checkpoints_that_are_removed_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_experiment(tmp_path)
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    before(monkeypatch, TaskModule, "on_validation_epoch_end", lambda: shutil.rmtree(run.last.parent))
    assert vlrouting("train", "tiny.yaml", cwd=tmp_path).returncode == 0
    assert run.is_complete() and run.last.is_file()
