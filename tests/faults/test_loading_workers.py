"""Processes that load data: a broken image, a killed one, and one that its loader's own error keeps alive."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from torch.utils.data import Dataset

from tests.command_line import vlrouting
from tests.tiny_experiment import write_experiment
from vlrouting.backbones.loading_workers import WorkerLoader, lost_workers_as
from vlrouting.data.example import DataError

SECONDS = 15.0
"""Far more than it takes, and less than PyTorch waits for workers that do not listen: two times 5 s for each."""


class Numbers(Dataset[int]):
    """Twenty numbers; asked for `broken`, it raises an error, and for `slow`, it takes a minute."""

    def __init__(self, broken: int = -1, slow: int = -1) -> None:
        self.broken, self.slow = broken, slow

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> int:
        if index == self.broken:
            raise DataError(f"image {index} is broken")
        if index == self.slow:
            time.sleep(60)
        return index


def ended_within(workers: list[BaseProcess], seconds: float = SECONDS) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(worker.is_alive() for worker in workers):
        time.sleep(0.02)
    return not any(worker.is_alive() for worker in workers)


def _abandon(persistent: bool) -> list[BaseProcess]:
    """Workers of an iterator that is garbage, kept alive by the error that it raised."""
    loader: WorkerLoader[int] = WorkerLoader(Numbers(broken=3), num_workers=2, persistent_workers=persistent)
    try:
        list(loader)
    except DataError as error:
        error.itself = error  # type: ignore[attr-defined]
    return list(loader.workers)


@pytest.mark.parametrize("persistent", [True, False])
def test_workers_end_with_an_iterator_that_is_collected(persistent: bool) -> None:
    workers = _abandon(persistent)
    assert len(workers) == 2
    started = time.monotonic()
    gc.collect()
    assert ended_within(workers) and time.monotonic() - started < SECONDS
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_the_signals_of_a_scheduler_do_not_end_a_worker() -> None:
    loader: WorkerLoader[int] = WorkerLoader(Numbers(), num_workers=2, prefetch_factor=2)
    batches = iter(loader)
    read = [int(next(batches)), int(next(batches))]  # one of each worker, so that both have started
    for worker in loader.workers:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(worker.pid or 0, number)
    assert [*read, *map(int, batches)] == list(range(20))


@pytest.mark.parametrize(("number", "remedy"), [(signal.SIGKILL, "train.workers"), (signal.SIGBUS, "/dev/shm")])
def test_a_killed_worker_is_one_sentence(number: signal.Signals, remedy: str) -> None:
    loader: WorkerLoader[int] = WorkerLoader(Numbers(slow=10), num_workers=2)
    with pytest.raises(DataError) as caught, lost_workers_as(DataError, [loader]):
        for batch in loader:
            if int(batch) == 1:
                os.kill(loader.workers[0].pid or 0, number)
    assert number.name in str(caught.value) and remedy in str(caught.value) and "\n" not in str(caught.value)
    assert ended_within(list(loader.workers))


def test_a_pipe_that_breaks_is_a_killed_worker() -> None:
    """PyTorch has not heard of the kill yet when the main process reads what a worker sends."""
    loader: WorkerLoader[int] = WorkerLoader(Numbers(slow=10), num_workers=1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        with pytest.raises(DataError, match="SIGKILL"), lost_workers_as(DataError, [loader]):
            batches = iter(loader)
            next(batches)
            os.kill(loader.workers[0].pid or 0, signal.SIGKILL)
            raise ConnectionResetError
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def test_another_error_stays_as_it_is() -> None:
    loader: WorkerLoader[int] = WorkerLoader(Numbers(), num_workers=1)
    with pytest.raises(RuntimeError, match="something else"), lost_workers_as(DataError, [loader]):
        list(loader)
        raise RuntimeError("something else")


def write_with_workers(folder: Path) -> Path:
    return write_experiment(
        folder,
        vision={"cache": False},
        train={"workers": 2, "max_steps": 400, "checkpoint_every_steps": 5},
        data={"validation": None},
    )


def test_a_run_whose_worker_is_killed(tmp_path: Path) -> None:
    """As the kernel does when the memory is full."""
    experiment = write_with_workers(tmp_path)
    run = tmp_path / "runs"

    def kill() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and not list(run.glob("*/*/checkpoints/last.ckpt")):
            time.sleep(0.05)
        for worker in multiprocessing.active_children():
            os.kill(worker.pid or 0, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done = vlrouting("train", experiment, "--runs", run)
    killer.join()
    assert done.returncode == 2
    assert "killed by SIGKILL" in done.stderr and "train.workers" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_run_with_a_broken_image_ends(tmp_path: Path) -> None:
    """In a process of its own: that it exits is what is tested."""
    experiment = write_with_workers(tmp_path)
    (image, *_) = (tmp_path / "data" / "train2014").iterdir()
    image.write_bytes(image.read_bytes()[:100])
    command = [sys.executable, "-m", "vlrouting.cli", "train", str(experiment), "--runs", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert f"{image}: no image, or a truncated or damaged one" in done.stderr
    assert "Traceback" not in done.stderr
