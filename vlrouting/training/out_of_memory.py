"""Out of memory, on a GPU or on the machine: a sentence with the remedy instead of a traceback."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vlrouting.config import ExperimentConfig
from vlrouting.training.memory_remedy import memory_remedy
from vlrouting.training.user_errors import PointFailure

_ON_GPU = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_ON_HOST = (
    "can't allocate memory: you tried to allocate",
    "not enough memory: you tried to allocate",
    "std::bad_alloc",
)
"""PyTorch gives these errors no class of their own."""


class OutOfMemory(PointFailure):
    """A point takes more memory than there is; the text names the settings that take less."""


@contextmanager
def memory_errors_explained(config: ExperimentConfig) -> Iterator[None]:
    """Raises `OutOfMemory` in place of the errors of PyTorch and Python."""
    try:
        yield
    except Exception as error:
        where = _exhausted(error)
        if where is None:
            raise
        reason = str(error).strip().split("\n")[0].partition(". ")[0] or type(error).__name__
        raise OutOfMemory(f"out of memory on {where} ({reason}): {memory_remedy(config)}") from error


def _exhausted(error: BaseException) -> str | None:
    """Which memory was exhausted; None where the error is another."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        return "the GPU"
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "this machine"
    if isinstance(error, RuntimeError) and any(sign in text for sign in _ON_GPU):
        return "the GPU"
    if isinstance(error, RuntimeError) and any(sign in text for sign in _ON_HOST):
        return "this machine"
    return None
