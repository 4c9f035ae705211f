"""What holds for every frozen backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def fixed_randomness() -> Iterator[None]:
    """Random weights that are the same in every process and for every seed: a backbone is not a part of the run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def freeze(module: nn.Module) -> None:
    """Eval mode for good: no gradients, no dropout, no batch statistics."""
    module.eval().requires_grad_(False)


def fingerprint(module: nn.Module) -> str:
    """Sixteen hexadecimal digits that change when any weight does: names, shapes and bytes of the state dict."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        # As bytes, so that any dtype, bf16 too, can be hashed.
        digest.update(memoryview(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()[:16]
