"""Which examples share a batch: of similar length, so that little is padded.

Both samplers know about ranks themselves, so the Trainer must run with `use_distributed_sampler=False`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from vlrouting.data.example import DataError

CHUNK_BATCHES = 50
"""Batches that are sorted by length together, as a number of global batches."""
LEAST_CHUNKS = 4
"""A small training set gets smaller chunks, or its batches would hold the same examples in every epoch."""


class LengthGroupedBatchSampler(Sampler[list[int]]):
    """Training batches of one rank. Those of an epoch are a function of (seed, epoch) and of nothing else.

    All examples are shuffled and cut into chunks of 50 batches; each chunk is sorted by length and cut into global
    batches, whose order is shuffled; each rank takes its share of every global batch. `iter` gives the epoch at which
    the sampler stands, from its position on, and moves it to the start of the next. The global random state is not
    touched.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = True,
    ) -> None:
        """
        Args:
            lengths: number of tokens of every example.
            batch_size: examples of a batch on one rank.
            seed: of the order.
            rank: which share of a global batch is this process's.
            world_size: number of shares.
            drop_last: leave out, every epoch anew, what does not fill a global batch; false keeps a smaller batch,
                which only a single process can take.

        Raises:
            DataError: there are fewer examples than a global batch takes.
            ValueError: `drop_last=False` with several processes.
        """
        if world_size > 1 and not drop_last:
            raise ValueError("drop_last=False needs world_size=1: ranks must get batches of the same number and size")
        self.batch_size, self.seed, self.rank, self.world_size = batch_size, seed, rank, world_size
        self.drop_last = drop_last
        self._lengths = torch.tensor(lengths, dtype=torch.int64)
        self._epoch, self._batches_done = 0, 0
        if len(self) == 0:
            raise DataError(
                f"the training split has {len(lengths)} examples, fewer than the {self._global_size} of one batch "
                f"(train.batch_size {batch_size} on {world_size} device(s)); set train.batch_size to at most "
                f"{len(lengths) // world_size}, or train on a larger split"
            )

    @property
    def _global_size(self) -> int:
        return self.batch_size * self.world_size

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, batches done) from which the next `iter` goes on."""
        return self._epoch, self._batches_done

    def __len__(self) -> int:
        """Batches of a whole epoch, wherever the sampler stands."""
        full, rest = divmod(len(self._lengths), self._global_size)
        return full + (1 if rest and not self.drop_last else 0)

    def set_position(self, epoch: int, batches_done: int) -> None:
        """The next `iter` yields the rest of `epoch` after `batches_done` of its batches (nothing, when all are done),
        the one after it the whole next epoch.

        Raises:
            ValueError: an epoch has no such batch.
        """
        if epoch < 0 or not 0 <= batches_done <= len(self):
            raise ValueError(f"epoch {epoch} of {len(self)} batches has no position {batches_done}")
        self._epoch, self._batches_done = epoch, batches_done

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch`; stay, when the sampler stands in it already."""
        if epoch != self._epoch:
            self.set_position(epoch, 0)

    def __iter__(self) -> Iterator[list[int]]:
        # A generator, so that the epoch counts only once its first batch is asked for: a DataLoader with workers makes
        # two iterators for its first epoch and throws one away.
        epoch, batches_done = self._epoch, self._batches_done
        self._epoch, self._batches_done = epoch + 1, 0
        yield from self.plan(epoch)[batches_done:]

    def plan(self, epoch: int) -> list[list[int]]:
        """This rank's batches of a whole epoch, as positions in the data set."""
        generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
        order = torch.randperm(len(self._lengths), generator=generator)
        if self.drop_last:  # before sorting: the longest would be left out otherwise
            order = order[: len(self) * self._global_size]
        chunk_batches = max(1, min(CHUNK_BATCHES, len(self) // LEAST_CHUNKS))
        chunks = torch.split(order, chunk_batches * self._global_size)
        grouped = torch.cat([chunk[torch.argsort(self._lengths[chunk], stable=True)] for chunk in chunks])
        batches = torch.split(grouped, self._global_size)
        turns = torch.randperm(len(batches), generator=generator).tolist()
        # A stride, so that every rank gets short and long ones alike.
        return [batches[turn][self.rank :: self.world_size].tolist() for turn in turns]


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
