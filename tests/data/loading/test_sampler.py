"""Which examples share a batch, on how many ranks soever."""

from __future__ import annotations

import random

import pytest
import torch

from vlrouting.data.example import DataError
from vlrouting.data.loading.sampler import EvaluationBatchSampler, LengthGroupedBatches

LENGTHS = random.Random(0).choices(range(4, 20), k=1003)
Batches = list[list[int]]


def training(seed: int = 0, rank: int = 0, world_size: int = 1, batch_size: int = 8) -> LengthGroupedBatches:
    return LengthGroupedBatches(LENGTHS, batch_size, seed, rank=rank, world_size=world_size)


def flat(batches: Batches) -> list[int]:
    return [index for batch in batches for index in batch]


def test_an_epoch_is_a_function_of_seed_and_epoch_alone() -> None:
    first, second = training().plan(0), training().plan(1)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    again = training()
    assert [again.plan(1), again.plan(0)] == [second, first]
    assert torch.equal(torch.get_rng_state(), state)
    assert first != second and first != training(seed=1).plan(0) and second != training(seed=1).plan(0)


def test_an_epoch_has_every_example_once_in_full_batches() -> None:
    sampler = training()
    batches = sampler.plan(0)
    assert len(batches) == len(sampler) == 1003 // 8
    assert {len(batch) for batch in batches} == {8}
    assert len(set(flat(batches))) == 1000


def test_what_is_left_out_changes_and_is_not_the_longest() -> None:
    sampler = training(batch_size=500)
    left_out = [LENGTHS[index] for epoch in range(200) for index in set(range(1003)) - set(flat(sampler.plan(epoch)))]
    assert len(left_out) == 600
    assert abs(sum(left_out) / len(left_out) - sum(LENGTHS) / len(LENGTHS)) < 0.8


def test_batches_hold_similar_lengths_in_mixed_order() -> None:
    batches = training().plan(0)
    padding = sum(max(LENGTHS[index] for index in batch) * 8 for batch in batches) - sum(
        LENGTHS[index] for index in flat(batches)
    )
    assert padding < 0.05 * sum(LENGTHS)  # shuffled batches of these lengths need 55%
    longest = [max(LENGTHS[index] for index in batch) for batch in batches]
    assert longest != sorted(longest)


def test_a_small_set_is_mixed_anew_every_epoch() -> None:
    sampler = LengthGroupedBatches(list(range(64)), 8, seed=0)  # no two of the same length
    first, second = ({frozenset(batch) for batch in sampler.plan(epoch)} for epoch in range(2))
    assert first != second


@pytest.mark.parametrize(("world_size", "accumulate"), [(3, 1), (1, 4), (2, 3)])
def test_ranks_and_micro_batches_share_the_batches_of_one(world_size: int, accumulate: int) -> None:
    samplers = [
        LengthGroupedBatches(LENGTHS, 24, 0, rank=rank, world_size=world_size, accumulate=accumulate)
        for rank in range(world_size)
    ]
    shares = [sampler.plan(0) for sampler in samplers]
    assert {len(share) for share in shares} == {len(samplers[0])} == {1003 // 24 * accumulate}
    assert {len(batch) for share in shares for batch in share} == {24 // world_size // accumulate}
    for turn, batch in enumerate(training(batch_size=24).plan(0)):
        pieces = [piece for share in shares for piece in share[turn * accumulate : (turn + 1) * accumulate]]
        assert sorted(flat(pieces)) == sorted(batch)
        assert sorted(samplers[0].of_epoch(0)[turn].tolist()) == sorted(batch)
    mean = [sum(LENGTHS[index] for index in flat(share)) / len(flat(share)) for share in shares]
    assert max(mean) - min(mean) < 0.5


def test_a_batch_that_cannot_be_shared_evenly() -> None:
    with pytest.raises(ValueError, match="cannot be cut into 2 x 3 equal micro-batches"):
        LengthGroupedBatches(LENGTHS, 8, seed=0, world_size=2, accumulate=3)


def test_fewer_examples_than_a_batch() -> None:
    with pytest.raises(DataError, match=r"5 examples, fewer than the 6 .* set train\.batch_size to at most 5"):
        LengthGroupedBatches([1] * 5, 6, seed=0, world_size=2)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("count", "batch_size"), [(1003, 8), (33, 8), (33, 1), (7, 9), (16, 8), (17, 4), (5, 2), (4, 3)]
)
def test_evaluation_has_each_example_exactly_once(count: int, batch_size: int, world_size: int) -> None:
    samplers = [EvaluationBatchSampler(LENGTHS[:count], batch_size, rank, world_size) for rank in range(world_size)]
    batches = [list(sampler) for sampler in samplers]
    assert sorted(flat([batch for share in batches for batch in share])) == list(range(count))
    assert all(1 <= len(batch) <= batch_size for share in batches for batch in share)
    assert [len(share) for share in batches] == [len(sampler) for sampler in samplers]
    assert batches == [list(sampler) for sampler in samplers]
    if batch_size > 1:  # no rank waits for another
        assert len({len(share) for share in batches}) == 1
    lengths = [LENGTHS[index] for index in flat(batches[0])]
    assert lengths == sorted(lengths, reverse=True)


def test_evaluation_on_more_devices_than_examples() -> None:
    with pytest.raises(DataError, match="use fewer devices"):
        EvaluationBatchSampler([1, 2], 8, 0, 3)
