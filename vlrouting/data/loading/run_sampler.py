"""The micro-batches of a whole run as one sequence, so that a position in it is a single number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch.utils.data import Sampler

from vlrouting.data.loading.sampler import LengthGroupedBatches
from vlrouting.data.loading.step_tokens import StepTokens, TargetTokens


class MicroBatch(NamedTuple):
    """What one forward pass of a training step takes."""

    indices: list[int]
    """Positions of the examples in the training data."""
    loss_tokens: float | None
    """See `Batch.loss_tokens`."""
    epoch: int = 0
    """Epoch of their dataset."""
    dataset: str = ""
    """Name of the dataset, where a run may have several."""


class RunBatchSampler(Sampler[MicroBatch]):
    """One rank's micro-batches, epoch after epoch, `total` in all, from `start` on.

    To the Trainer a run is one long epoch: there is one way to resume it, and no special case at an epoch's end.
    """

    def __init__(
        self,
        batches: LengthGroupedBatches,
        total: int,
        start: int = 0,
        target_tokens: TargetTokens | None = None,
    ) -> None:
        """
        Args:
            batches: of each epoch.
            total: micro-batches of the whole run.
            start: micro-batches of it that are done already.
            target_tokens: of every example, or of every example in an epoch, where the loss is a mean over them.
        """
        self.batches, self.total, self.start = batches, total, start
        self._tokens = StepTokens(batches, target_tokens) if target_tokens is not None else None

    def __len__(self) -> int:
        """Micro-batches of the whole run, wherever it starts."""
        return self.total

    def __iter__(self) -> Iterator[MicroBatch]:
        first_epoch, done = divmod(self.start, len(self.batches))
        number = self.start
        for epoch in range(first_epoch, -(-self.total // len(self.batches))):
            for indices in self.batches.plan(epoch)[done : done + self.total - number]:
                yield MicroBatch(indices, self._loss_tokens(number), epoch)
                number += 1
            done = 0

    def _loss_tokens(self, number: int) -> float | None:
        if self._tokens is None:
            return None
        return self._tokens.of(number // self.batches.accumulate) / self.batches.micro_batches
