"""Which parameters of the frozen model train beside the bottlenecks: `model.unfreeze`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import nn

from vlrouting.bottleneck.targets import block_of, match
from vlrouting.config.bottleneck import BIASES, EVERYTHING, LAYER_NORMS


def parameters_to_unfreeze(model: nn.Module, what: Sequence[str], adapted: Collection[str]) -> list[str]:
    """Names of the frozen model's parameters that train, in model order.

    Args:
        model: the frozen model, before bottlenecks are attached.
        what: `layer_norms`, `biases`, `all`, or patterns of parameter names.
        adapted: names of the modules that bottlenecks adapt; `layer_norms` means those of their blocks, and those of
            all blocks where nothing is adapted.

    Raises:
        ValueError: a pattern matches no parameter; the text lists near names.
    """
    names = [name for name, _ in model.named_parameters()]
    chosen: set[str] = set()
    for entry in what:
        if entry == EVERYTHING:
            chosen |= set(names)
        elif entry == BIASES:
            chosen |= {name for name in names if name.rpartition(".")[2] == "bias"}
        elif entry == LAYER_NORMS:
            chosen |= _norms(model, {block_of(name)[0] for name in adapted} - {""})
        else:
            chosen |= set(match(entry, names, "unfreeze", "parameter"))
    return [name for name in names if name in chosen]


def _norms(model: nn.Module, blocks: Collection[str]) -> set[str]:
    """Parameters of the norms in some blocks; in all blocks where none is named."""
    found = set()
    for name, module in model.named_modules():
        block = block_of(name)[0]
        if type(module).__name__.endswith("Norm") and block and (not blocks or block in blocks):
            found |= {f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)}
    return found
