"""What holds for every frozen backbone."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


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
