"""How many tokens an optimizer step learns, over all devices and pieces: what its mean loss is a mean over."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlrouting.data.loading.sampler import LengthGroupedBatchSampler


class StepTokens:
    """Counts by step. Every process knows all of them, so nothing need be asked of the others."""

    def __init__(self, sampler: LengthGroupedBatchSampler, counts: Sequence[int]) -> None:
        """
        Args:
            sampler: says which examples share a step.
            counts: tokens to learn of every example.
        """
        self.sampler, self.counts = sampler, torch.tensor(counts, dtype=torch.int64)
        self._epoch, self._sums = -1, torch.empty(0, dtype=torch.int64)

    def of(self, step: int) -> int:
        """Tokens of optimizer step `step` of the run, counted from 0."""
        epoch, number = divmod(step, self.sampler.steps)
        if epoch != self._epoch:
            self._epoch, self._sums = epoch, self.counts[self.sampler.batches(epoch)].sum(dim=1)  # (steps,)
        return int(self._sums[number])
