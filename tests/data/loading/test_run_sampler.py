"""The batches of a run as one sequence: cut anywhere, the two parts are the whole."""

from __future__ import annotations

import pytest

from vlrouting.data.loading.run_sampler import RunBatchSampler
from vlrouting.data.loading.sampler import LengthGroupedBatches

LENGTHS = [4 + number % 5 for number in range(23)]
PER_EPOCH = 5
"""Batches of an epoch: 23 examples by 4, of which 3 are left out."""
TOTAL = 2 * PER_EPOCH + 3


def run(start: int = 0, total: int = TOTAL, rank: int = 0, world_size: int = 1) -> RunBatchSampler:
    return RunBatchSampler(LengthGroupedBatches(LENGTHS, 4, 9, rank=rank, world_size=world_size), total, start)


def test_a_run_is_epoch_after_epoch_and_ends_within_one() -> None:
    epochs = LengthGroupedBatches(LENGTHS, 4, 9)
    assert len(epochs) == PER_EPOCH
    assert [chosen.indices for chosen in run()] == epochs.plan(0) + epochs.plan(1) + epochs.plan(2)[:3]


@pytest.mark.parametrize("total", [1, PER_EPOCH - 1, PER_EPOCH, PER_EPOCH + 1, 3 * PER_EPOCH])
def test_a_run_has_as_many_batches_as_planned(total: int) -> None:
    assert len(list(run(total=total))) == len(run(total=total)) == total


@pytest.mark.parametrize("cut", range(TOTAL + 1))
def test_a_run_that_was_cut_off_goes_on_where_it_was(cut: int) -> None:
    first = iter(run())
    before = [next(first) for _ in range(cut)]
    assert before + list(run(start=cut)) == list(run())


@pytest.mark.parametrize("cut", [0, 3, PER_EPOCH, 7])
def test_the_same_sampler_goes_on_too(cut: int) -> None:
    """A sampler from which a loader has fetched ahead gives the whole again, from `start` on."""
    sampler = run(start=cut)
    ahead = iter(sampler)
    for _ in range(PER_EPOCH):
        next(ahead)
    assert list(sampler) == list(run())[cut:]
    assert len(sampler) == TOTAL


def test_ranks_share_the_batches_of_a_resumed_run() -> None:
    shares = [[chosen.indices for chosen in run(start=6, rank=rank, world_size=2)] for rank in range(2)]
    together = [sorted(left + right) for left, right in zip(*shares, strict=True)]
    assert together == [sorted(chosen.indices) for chosen in run(start=6)]
