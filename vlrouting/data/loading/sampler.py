"""Which examples share a batch: of similar length, so that little is padded.

Ranks are known here, so the Trainer must run with `use_distributed_sampler=False`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from vlrouting.data.example import DataError

CHUNK_BATCHES = 50
"""Batches that are sorted by length together."""
LEAST_CHUNKS = 4
"""A small training set gets smaller chunks, or its batches would hold the same examples in every epoch."""


class LengthGroupedBatches:
    """Training batches of one rank. Those of an epoch are a function of (seed, epoch) and of nothing else.

    All examples are shuffled and cut into chunks of 50 batches; each chunk is sorted by length and cut into batches,
    whose order is shuffled. A batch is what an optimizer step sees over all ranks: each takes its share, cut into
    micro-batches, one per forward pass. So the number of ranks and micro-batches does not change what a step learns
    from. The global random state is not touched.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> None:
        """
        Args:
            lengths: number of tokens of every example.
            batch_size: examples of an optimizer step, over all ranks.
            seed: of the order.
            rank: which share of a batch is this process's.
            world_size: number of shares.
            accumulate: micro-batches that a share is cut into.

        Raises:
            DataError: there are fewer examples than a batch takes.
            ValueError: a batch cannot be cut into that many equal micro-batches.
        """
        if batch_size % (world_size * accumulate):
            raise ValueError(
                f"{batch_size} examples cannot be cut into {world_size} x {accumulate} equal micro-batches"
            )
        self.batch_size, self.seed, self.rank, self.world_size = batch_size, seed, rank, world_size
        self.accumulate = accumulate
        self.steps = whole_batches(len(lengths), batch_size)
        self._lengths = torch.tensor(lengths, dtype=torch.int64)

    def __len__(self) -> int:
        """Micro-batches of this rank in an epoch."""
        return self.steps * self.accumulate

    @property
    def micro_batches(self) -> int:
        """Micro-batches of an optimizer step, over all ranks."""
        return self.world_size * self.accumulate

    def plan(self, epoch: int) -> list[list[int]]:
        """This rank's micro-batches of a whole epoch, as positions in the data set."""
        # A stride, so that every rank gets short and long ones alike; its micro-batches hold similar lengths.
        shares = self.of_epoch(epoch)[:, self.rank :: self.world_size]  # (steps, batch_size / world_size)
        micro_batches: list[list[int]] = shares.reshape(len(self), -1).tolist()
        return micro_batches

    def of_epoch(self, epoch: int) -> Tensor:
        """The batches of a whole epoch over all ranks, (steps, batch_size) positions in the data set."""
        generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
        order = torch.randperm(len(self._lengths), generator=generator)
        order = order[: self.steps * self.batch_size]  # before sorting: the longest would be left out otherwise
        chunk_batches = max(1, min(CHUNK_BATCHES, self.steps // LEAST_CHUNKS))
        chunks = torch.split(order, chunk_batches * self.batch_size)
        grouped = torch.cat([chunk[torch.argsort(self._lengths[chunk], stable=True)] for chunk in chunks])
        return grouped.reshape(self.steps, self.batch_size)[torch.randperm(self.steps, generator=generator)]


def whole_batches(examples: int, batch_size: int, key: str = "train.batch_size") -> int:
    """Batches of an epoch: what does not fill one is left out, every epoch anew. `key` gives the batch size.

    Raises:
        DataError: there is none.
    """
    if examples < batch_size:
        raise DataError(
            f"the training split has {examples} examples, fewer than the {batch_size} of one batch; set "
            f"{key} to at most {examples}, or train on a larger split"
        )
    return examples // batch_size


class EvaluationBatchSampler(Sampler[list[int]]):
    """Batches of one rank for evaluation: over all ranks every example exactly once, always in the same order.

    Sorted by length, the longest first, so that a batch that does not fit into memory is found at once.
    """

    def __init__(
        self, lengths: Sequence[int] | np.ndarray, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        """
        Args:
            lengths: number of tokens of every example.
            batch_size: most examples of a batch on one rank.
            rank: which share is this process's.
            world_size: number of shares; they differ by one example at most.

        Raises:
            DataError: there are fewer examples than ranks.
        """
        if len(lengths) < world_size:
            raise DataError(f"{len(lengths)} examples cannot be evaluated on {world_size} device(s); use fewer devices")
        order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
        share = order[rank::world_size].tolist()
        largest = -(-len(lengths) // world_size)
        count = -(-largest // batch_size)
        self._batches = [share[number * batch_size : (number + 1) * batch_size] for number in range(count)]
        if not self._batches[-1]:
            # This share is one example short of a further batch that other ranks have. A rank that stops earlier can
            # leave them waiting in a collective operation, so its last batch is made of one of the batch before.
            self._batches.pop()
            if len(self._batches[-1]) > 1:
                self._batches.append([self._batches[-1].pop()])

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)


def _mix(seed: int, epoch: int) -> int:
    """A seed of 63 bits; a sum would make epoch 1 of seed 0 equal to epoch 0 of seed 1."""
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
