"""The visual projector: from the vision encoder's width to the language model's."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def _linear(features: int, width: int) -> nn.Module:
    return nn.Identity() if features == width else nn.Linear(features, width)


def _linear_norm(features: int, width: int) -> nn.Module:
    """The visual embedding of VL-Adapter (arXiv 2112.06825) and VL-T5."""
    return nn.Sequential(nn.Linear(features, width), nn.LayerNorm(width))


def _mlp(features: int, width: int) -> nn.Module:
    """Two layers, as LLaVA-1.5 has them (arXiv 2310.03744)."""
    return nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, width))


_PROJECTORS: dict[str, Callable[[int, int], nn.Module]] = {"linear": _linear, "linear_norm": _linear_norm, "mlp": _mlp}


def make_projector(name: str, features: int, width: int) -> nn.Module:
    """A trainable module, (B, V, Dv) -> (B, V, D).

    Args:
        name: `linear` (identity where the widths are equal, as the authors have it), `linear_norm` or `mlp`.
        features: Dv.
        width: D.
    """
    return _PROJECTORS[name](features, width)
