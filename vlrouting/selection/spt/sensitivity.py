"""How sensitive the loss is to every weight: s = Σ over batches of g² (arXiv 2303.08566, equation 4), and its file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FILE = "sensitivities.safetensors"


def measure(
    weights: Mapping[str, nn.Parameter], batches: Iterable[Any], loss: Callable[[Any], Tensor]
) -> dict[str, Tensor]:
    """The sum of the squared gradients of every weight over the batches, float32, on the CPU.

    Each gradient is squared and freed as soon as it is whole: beside the model and the saved activations, the pass
    takes one float32 number for every weight, and not the gradients of all of them. Afterwards none of the weights
    requires a gradient.

    Args:
        weights: name -> parameter; those that the loss does not reach have a sum of zero.
        batches: of the training data.
        loss: of a batch.

    Raises:
        ValueError: a sum holds NaN or an infinity.
    """
    sums = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in weights.items()}
    handles = []
    for name, weight in weights.items():
        weight.requires_grad_(True)
        handles.append(weight.register_post_accumulate_grad_hook(_adding_to(sums[name])))  # type: ignore[no-untyped-call]
    try:
        for batch in batches:
            torch.autograd.backward(loss(batch), inputs=list(weights.values()))
    finally:
        for handle in handles:
            handle.remove()
        for weight in weights.values():
            weight.requires_grad_(False)
    bad = next((name for name, total in sums.items() if not bool(torch.isfinite(total).all())), None)
    if bad is not None:
        raise ValueError(
            f"select.method: spt: the gradients of {bad} are no finite numbers; set language.dtype: float32"
        )
    return {name: total.cpu() for name, total in sums.items()}


def _adding_to(total: Tensor) -> Callable[[Tensor], None]:
    def add_square(weight: Tensor) -> None:
        assert weight.grad is not None
        total.add_(weight.grad.float().square())
        weight.grad = None

    return add_square


def write(folder: Path, sums: Mapping[str, Tensor], measured_on: Mapping[str, Any]) -> None:
    """Write `folder/sensitivities.safetensors`, whole or not at all.

    Args:
        folder: made where it is missing.
        sums: of `measure`.
        measured_on: tower -> fingerprint of its weights.

    Raises:
        OSError: the disk is full or the folder is read-only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{FILE}.tmp"
    try:
        save_file(dict(sums), temporary, metadata={"measured_on": json.dumps(measured_on)})
        temporary.chmod(folder.stat().st_mode & 0o666)  # safetensors lets nobody else read it
        os.replace(temporary, folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)


def read(file: Path, weights: Mapping[str, nn.Parameter], measured_on: Mapping[str, Any]) -> dict[str, Tensor]:
    """The sums of a file that `write` wrote for the same models.

    Args:
        file: may have more sums than are asked for, such as those of the other tower.
        weights: name -> parameter, those that are asked for.
        measured_on: tower -> fingerprint of its weights, as they are here.

    Raises:
        ValueError: there is no such file, it is damaged, or it was measured on other weights.
    """
    said = f"select.sensitivities: {file}"
    try:
        with safe_open(file, "pt") as stored:
            facts = json.loads((stored.metadata() or {}).get("measured_on", "{}"))
            known = set(stored.keys())
            sums = {name: stored.get_tensor(name) for name in weights.keys() & known}
    except FileNotFoundError:
        raise ValueError(f"{said}: no such file; leave it out to measure them") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{said}: cannot be read ({error}); leave it out to measure them again") from None
    remedy = "leave it out to measure those of this model"
    for tower, fingerprint in measured_on.items():
        if facts.get(tower) != fingerprint:
            raise ValueError(f"{said}: measured on other weights of the {tower} tower; {remedy}")
    for name, weight in weights.items():
        if name not in sums or sums[name].shape != weight.shape:
            raise ValueError(f"{said}: has nothing for {name} of this shape; {remedy}")
    return sums
