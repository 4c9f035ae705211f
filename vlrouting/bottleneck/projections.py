"""Linear projections of frozen models, in both of the layouts that transformers has."""

from __future__ import annotations

from torch import Tensor, nn


def projection_widths(projection: nn.Module) -> tuple[int, int]:
    """(inputs, outputs) of an nn.Linear or of a transformers `Conv1D`, which stores its weight transposed.

    Raises:
        TypeError: the module is neither.
    """
    if isinstance(projection, nn.Linear):
        return projection.in_features, projection.out_features
    if type(projection).__name__ == "Conv1D":
        weight: Tensor = projection.weight  # type: ignore[assignment]
        return weight.shape[0], weight.shape[1]
    raise TypeError(f"expected a Linear or Conv1D module, not {type(projection).__name__}")


def outputs_first(projection: nn.Module) -> Tensor:
    """The weight as (outputs, inputs), itself or a view: what changes it in place changes the weight."""
    weight: Tensor = projection.weight  # type: ignore[assignment]
    return weight if isinstance(projection, nn.Linear) else weight.T
