"""Which examples share a batch: of similar length, so that little is padded.

Both samplers know about ranks themselves, so the Trainer must run with `use_distributed_sampler=False`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from vlrouting.data.example import DataError

CHUNK_BATCHES = 50
"""Batches that are sorted by length together."""
LEAST_CHUNKS = 4
"""A small training set gets smaller chunks, or its batches would hold the same examples in every epoch."""


class LengthGroupedBatchSampler(Sampler[list[int]]):
    """Training batches of one rank. Those of an epoch are a function of (seed, epoch) and of nothing else.

    All examples are shuffled and cut into chunks of 50 batches; each chunk is sorted by length and cut into batches,
    whose order is shuffled. A batch is what an optimizer step sees over all ranks: each takes its share, cut into
    pieces, one a forward pass. So the number of ranks and pieces changes nothing of what a step learns from.

    `iter` gives the pieces of the epoch at which the sampler stands, from its position on, and moves it to the start of
    the next. The global random state is not touched.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
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
            accumulate: pieces that a share is cut into.

        Raises:
            DataError: there are fewer examples than a batch takes.
            ValueError: a batch cannot be cut into that many equal pieces.
        """
        if batch_size % (world_size * accumulate):
            raise ValueError(f"{batch_size} examples cannot be cut into {world_size} x {accumulate} equal pieces")
        self.batch_size, self.seed, self.rank, self.world_size = batch_size, seed, rank, world_size
        self.accumulate = accumulate
        self.steps = whole_batches(len(lengths), batch_size)
        self._lengths = torch.tensor(lengths, dtype=torch.int64)
        self._epoch, self._pieces_done = 0, 0

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, pieces done) from which the next `iter` goes on."""
        return self._epoch, self._pieces_done

    def __len__(self) -> int:
        """Pieces of a whole epoch, wherever the sampler stands."""
        return self.steps * self.accumulate

    def set_position(self, epoch: int, pieces_done: int) -> None:
        """The next `iter` yields the rest of `epoch` after `pieces_done` of its pieces (nothing, when all are done),
        the one after it the whole next epoch.

        Raises:
            ValueError: an epoch has no such piece.
        """
        if epoch < 0 or not 0 <= pieces_done <= len(self):
            raise ValueError(f"epoch {epoch} of {len(self)} batches has no position {pieces_done}")
        self._epoch, self._pieces_done = epoch, pieces_done

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch`; stay, when the sampler stands in it already."""
        if epoch != self._epoch:
            self.set_position(epoch, 0)

    def __iter__(self) -> Iterator[list[int]]:
        # A generator, so that the epoch counts only once its first batch is asked for: a DataLoader with workers makes
        # two iterators for its first epoch and throws one away.
        epoch, pieces_done = self._epoch, self._pieces_done
        self._epoch, self._pieces_done = epoch + 1, 0
        yield from self.plan(epoch)[pieces_done:]

    def plan(self, epoch: int) -> list[list[int]]:
        """This rank's pieces of a whole epoch, as positions in the data set."""
        # A stride, so that every rank gets short and long ones alike; its pieces hold similar lengths.
        shares = self.batches(epoch)[:, self.rank :: self.world_size]  # (steps, batch_size / world_size)
        pieces: list[list[int]] = shares.reshape(len(self), -1).tolist()
        return pieces

    def batches(self, epoch: int) -> Tensor:
        """The batches of a whole epoch over all ranks, (steps, batch_size) positions in the data set."""
        generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
        order = torch.randperm(len(self._lengths), generator=generator)
        order = order[: self.steps * self.batch_size]  # before sorting: the longest would be left out otherwise
        chunk_batches = max(1, min(CHUNK_BATCHES, self.steps // LEAST_CHUNKS))
        chunks = torch.split(order, chunk_batches * self.batch_size)
        grouped = torch.cat([chunk[torch.argsort(self._lengths[chunk], stable=True)] for chunk in chunks])
        return grouped.reshape(self.steps, self.batch_size)[torch.randperm(self.steps, generator=generator)]


def whole_batches(examples: int, batch_size: int) -> int:
    """Batches of an epoch: what does not fill one is left out, every epoch anew.

    Raises:
        DataError: there is none.
    """
    if examples < batch_size:
        raise DataError(
            f"the training split has {examples} examples, fewer than the {batch_size} of one batch; set "
            f"train.batch_size to at most {examples}, or train on a larger split"
        )
    return examples // batch_size


class EvaluationBatchSampler(Sampler[list[int]]):
    """Batches of one rank for evaluation: over all ranks every example exactly once, always in the same order.

    Sorted by length, the longest first, so that a batch that does not fit into memory is found at once.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, rank: int = 0, world_size: int = 1) -> None:
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
        order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        share = order[rank::world_size]
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
