"""Too little memory, on the machine and on a GPU: one sentence that names the settings, status failed, no traceback."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.command_line import vlrouting
from tests.tiny_experiment import write_experiment
from vlrouting.config import ExperimentConfig, LanguageConfig, TrainConfig
from vlrouting.experiment import RunDirectory
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.memory_remedy import memory_remedy
from vlrouting.training.out_of_memory import OutOfMemory, memory_errors_explained


def allocate_on_the_host() -> None:
    """More than the process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**36, hard))
    try:
        torch.empty(2**37, dtype=torch.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def allocate_in_python() -> None:
    bytearray(2**62)


def allocate_on_the_gpu() -> None:
    torch.empty(2**50, dtype=torch.uint8, device="cuda")


WAYS = [
    pytest.param(allocate_on_the_host, "this machine"),
    pytest.param(allocate_in_python, "this machine"),
    pytest.param(allocate_on_the_gpu, "the GPU", marks=pytest.mark.gpu),
]


@pytest.mark.slow
@pytest.mark.parametrize(("allocate", "where"), WAYS)
def test_a_point_that_runs_out_of_memory(
    allocate: Callable[[], None], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_experiment(tmp_path, sweep={"grid": {"seed": [0, 1]}})
    original = TaskModule.training_step

    def training_step(self: TaskModule, batch: object, batch_index: int) -> object:
        if self.seed == 0 and batch_index == 1:
            allocate()
        return original(self, batch, batch_index)  # type: ignore[arg-type]

    monkeypatch.setattr(TaskModule, "training_step", training_step)
    done = vlrouting("train", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    runs = [RunDirectory(tmp_path / "runs" / "tiny" / f"seed={seed}") for seed in (0, 1)]
    stored = runs[0].read_run()
    assert stored["status"] == "failed" and f"out of memory on {where}" in str(stored["error"])
    for key in ("train.accumulate=2", "train.gradient_checkpointing=true", "language.dtype=bfloat16", "evaluate.batch"):
        assert key in str(stored["error"])
    assert runs[1].is_complete()  # it needs less, for all that is known


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …"), "GPU"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), "GPU"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "GPU"),
        (RuntimeError("std::bad_alloc"), "machine"),
        (MemoryError(), "machine"),
        (OSError(12, "Cannot allocate memory"), "machine"),
    ],
)
def test_errors_of_pytorch_and_python(error: Exception, where: str) -> None:
    with pytest.raises(OutOfMemory, match=where) as raised, memory_errors_explained(ExperimentConfig()):
        raise error
    assert "\n" not in str(raised.value)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), memory_errors_explained(ExperimentConfig()):
        raise RuntimeError("shapes differ")


def test_the_remedy_names_only_what_is_not_done_already() -> None:
    train = TrainConfig(batch_size=8, accumulate=8, gradient_checkpointing=True, precision="bf16-mixed")
    remedy = memory_remedy(ExperimentConfig(train=train, language=LanguageConfig(dtype="bfloat16")))
    assert "train.accumulate" not in remedy and "gradient_checkpointing" not in remedy and "precision" not in remedy
    assert "train.batch_size below 8" in remedy
