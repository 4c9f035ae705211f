"""A fingerprint of frozen weights, by which an artifact recognises the model that it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from vlrouting.bottleneck.base import Bottleneck

Fingerprint = dict[str, dict[str, str]]
"""`all` and `vectors` -> dtype -> sixteen hexadecimal digits."""

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""In which weights are compared."""
_SAMPLE = 4096
"""Values of a tensor that are hashed one by one; of all its values a sum is."""


@torch.no_grad()
def weight_fingerprint(model: nn.Module) -> Fingerprint:
    """Digests of the frozen weights: names, shapes and values of parameters and of floating-point buffers.

    Bottlenecks and parameters that train are left out. Of each tensor it reads 4,096 evenly spaced values and the sum
    of the bits of all of them, so it shows another model, a transform, and a change of any single value. It is no
    protection against weights that someone has constructed to have the same digest.

    There is a digest for the weights' own dtype and for each shorter one, so weights saved in float32 are recognised
    when they are loaded in bfloat16 or float16. The device does not matter. Vectors (norms, biases) have digests of
    their own, which stay comparable where a quantiser has replaced the matrices. What is sharded over processes, or
    quantised, has none.

    Args:
        model: a backbone, with or without bottlenecks. 125 million parameters in float32 take about 0.3 s on one core.
    """
    tensors = dict(_frozen(model))
    vectors = {name: tensor for name, tensor in tensors.items() if tensor.dim() < 2}
    return {part: _digests(chosen) for part, chosen in (("all", tensors), ("vectors", vectors))}


def other_weights(stored: object, found: Fingerprint) -> bool:
    """Whether two fingerprints are of different weights. False where they have no dtype in common, as bfloat16 and
    float16 have not, and where nothing was stored."""
    for part, digests in found.items():
        kept = stored.get(part) if isinstance(stored, Mapping) else None
        for dtype, digest in digests.items():  # the most precise first
            if isinstance(kept, Mapping) and dtype in kept:
                return bool(kept[dtype] != digest)
    return False


def _frozen(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    bottlenecks = [f"{name}." for name, module in model.named_modules() if isinstance(module, Bottleneck)]
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, tensor in sorted(model.state_dict(keep_vars=True).items()):
        counted = name in parameters or (isinstance(tensor, Tensor) and tensor.is_floating_point())
        if counted and not tensor.requires_grad and not name.startswith(tuple(bottlenecks)):
            yield name, tensor


def _digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """dtype -> digest, for the shortest dtype of the tensors and those shorter than that; none where a tensor is
    quantised or sharded."""
    if not all(type(tensor) in (Tensor, nn.Parameter) and tensor.is_floating_point() for tensor in tensors.values()):
        return {}
    if any(tensor.is_meta for tensor in tensors.values()):
        return {}
    short = {tensor.dtype for tensor in tensors.values()} & {torch.bfloat16, torch.float16}
    return {str(dtype).removeprefix("torch."): _digest(tensors, dtype) for dtype in short or _DTYPES}


def _digest(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        values = tensor.detach().reshape(-1).to(dtype)
        sample = torch.cat([values[:: max(1, len(values) // _SAMPLE)], values[-3:]])
        digest.update(f"{name}{tuple(tensor.shape)}{_sum_of_bits(values)}".encode())
        digest.update(sample.view(torch.uint8).cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _sum_of_bits(values: Tensor) -> int:
    """Of a vector without its last few values: as 8-byte integers, because torch adds those up 20 times faster."""
    whole = values[: len(values) // 4 * 4]
    whole = whole.clone() if whole.storage_offset() % 4 else whole
    return int(whole.view(torch.int64).sum())
