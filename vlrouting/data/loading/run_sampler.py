"""The batches of a whole run as one sequence, so that a position in it is a single number."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler

from vlrouting.data.loading.sampler import LengthGroupedBatchSampler


class RunBatchSampler(Sampler[list[int]]):
    """Epoch after epoch of another sampler, `total` batches in all, from `start` on.

    To the Trainer a run is one long epoch: there is one way to resume it, and no special case at an epoch's end.
    """

    def __init__(self, epochs: LengthGroupedBatchSampler, total: int, start: int = 0) -> None:
        """
        Args:
            epochs: gives the batches of each epoch.
            total: batches of the whole run.
            start: batches of it that are done already.
        """
        self.epochs, self.total, self.start = epochs, total, start

    def __len__(self) -> int:
        """Batches of the whole run, wherever it starts."""
        return self.total

    def __iter__(self) -> Iterator[list[int]]:
        left = self.total - self.start
        epoch, done = divmod(self.start, len(self.epochs))
        self.epochs.set_position(epoch, done)
        while left > 0:
            for batch in self.epochs:
                if left == 0:
                    return
                left -= 1
                yield batch
