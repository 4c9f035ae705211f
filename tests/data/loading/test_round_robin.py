"""Datasets take turns, each in its own order; cut anywhere, the two parts are the whole."""

from __future__ import annotations

import pytest

from vlrouting.data.loading.round_robin import RoundRobinSampler, turns
from vlrouting.data.loading.run_sampler import MicroBatch, RunBatchSampler
from vlrouting.data.loading.sampler import LengthGroupedBatches

DATASETS = {"small": (11, 4), "large": (46, 8), "tiny": (4, 4)}
"""Name -> examples and batch size: 2, 5 and 1 batches an epoch."""
TOTAL = 2 * 17
"""Micro-batches, two a step: five rounds and two steps."""


def batches(name: str, rank: int = 0, world_size: int = 1) -> LengthGroupedBatches:
    examples, size = DATASETS[name]
    lengths = [4 + number % 5 for number in range(examples)]
    return LengthGroupedBatches(lengths, size, 9, rank=rank, world_size=world_size, accumulate=2)


def run(start: int = 0, total: int = TOTAL, rank: int = 0, world_size: int = 1, names: str = "") -> RoundRobinSampler:
    """Of the datasets; target tokens of an example: its number, and in each epoch one more."""
    chosen = names.split() or list(DATASETS)
    tokens = {
        name: (lambda epoch, name=name: [number + epoch for number in range(DATASETS[name][0])]) for name in chosen
    }
    of_each = {name: batches(name, rank, world_size) for name in chosen}
    return RoundRobinSampler(of_each, total, start, turn=2, target_tokens=tokens)  # type: ignore[arg-type]


def test_a_round_is_a_step_of_each_and_each_goes_through_its_own_epochs() -> None:
    found = list(run())
    assert len(found) == len(run()) == TOTAL
    steps = [found[number].dataset for number in range(0, TOTAL, 2)]
    assert steps == [name for _ in range(5) for name in DATASETS] + ["small", "large"]
    assert all(found[number].dataset == found[number + 1].dataset for number in range(0, TOTAL, 2))
    for name, (_, size) in DATASETS.items():
        own = [part for part in found if part.dataset == name]
        alone = list(run(total=len(own), names=name))
        assert own == alone and {len(part.indices) for part in own} == {size // 2}
    assert [part.epoch for part in found if part.dataset == "tiny"] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_one_dataset_is_its_run() -> None:
    counts = list(range(46))
    alone = RunBatchSampler(batches("large"), TOTAL, 3, counts)
    found = RoundRobinSampler({"large": batches("large")}, TOTAL, 3, turn=2, target_tokens={"large": counts})
    assert [part._replace(dataset="") for part in found] == list(alone)


@pytest.mark.parametrize("cut", range(TOTAL + 1))
def test_a_run_that_was_cut_off_goes_on_in_the_middle_of_a_round(cut: int) -> None:
    assert list(run(start=cut)) == list(run())[cut:]


def test_all_ranks_hold_the_same_dataset_and_share_its_batch_and_its_tokens() -> None:
    whole, ranks = list(run()), [list(run(rank=rank, world_size=2)) for rank in range(2)]
    for number in range(0, TOTAL, 2):
        parts: list[MicroBatch] = [part for each in ranks for part in each[number : number + 2]]
        alone = whole[number : number + 2]
        assert len({(part.dataset, part.epoch, part.loss_tokens) for part in parts}) == 1
        indices = sorted(index for part in alone for index in part.indices)
        assert sorted(index for part in parts for index in part.indices) == indices
        assert parts[0].loss_tokens == sum(index + parts[0].epoch for index in indices) / 4
        assert alone[0].loss_tokens == sum(index + parts[0].epoch for index in indices) / 2


def test_the_share_of_each_dataset() -> None:
    for position in range(40):
        names = [number // 2 % 3 for number in range(position)]
        assert turns(position, 3, 2) == [names.count(number) for number in range(3)]
