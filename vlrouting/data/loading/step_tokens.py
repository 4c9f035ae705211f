"""How many target tokens an optimizer step has, over all devices and micro-batches: its loss is the mean over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from vlrouting.data.loading.sampler import LengthGroupedBatches

TargetTokens = Sequence[int] | np.ndarray | Callable[[int], np.ndarray]
"""Target tokens of every example, or what gives them for an epoch."""


class StepTokens:
    """Counts by step. Every process knows all of them, so that no process has to ask the others."""

    def __init__(self, batches: LengthGroupedBatches, counts: TargetTokens) -> None:
        """
        Args:
            batches: say which examples share a step.
            counts: target tokens of every example.
        """
        self.batches = batches
        self._counts: Callable[[int], Any] = counts if callable(counts) else lambda epoch: counts
        self._epoch, self._sums = -1, torch.empty(0, dtype=torch.int64)

    def of(self, step: int) -> int:
        """Target tokens of optimizer step `step` of the run, counted from 0."""
        epoch, number = divmod(step, self.batches.steps)
        if epoch != self._epoch:
            counts = torch.tensor(self._counts(epoch), dtype=torch.int64)  # (N,)
            self._epoch, self._sums = epoch, counts[self.batches.of_epoch(epoch)].sum(dim=1)  # (steps,)
        return int(self._sums[number])
