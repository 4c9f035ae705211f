"""Which number format a point computes in."""

from __future__ import annotations

from typing import Literal

import torch

from vlrouting.config import TrainConfig

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def precision_of(train: TrainConfig) -> Precision:
    """`train.precision`, with `auto` decided for this machine: bf16-mixed where the hardware computes in it, else
    32-true."""
    if train.precision != "auto":
        return train.precision  # type: ignore[return-value]
    if train.accelerator != "cpu" and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = cpu_has_bf16()
    return "bf16-mixed" if native else "32-true"


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 itself (AVX512-BF16, AMX): one that imitates it is slower than in float32."""
    # PyTorch's own questions, not public yet.
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in asked)
