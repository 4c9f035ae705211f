"""How many target tokens a step has, known to every process without asking the others."""

from __future__ import annotations

import random

import pytest

from vlrouting.data.loading.run_sampler import RunBatchSampler
from vlrouting.data.loading.sampler import LengthGroupedBatches
from vlrouting.data.loading.step_tokens import StepTokens

COUNTS = random.Random(1).choices(range(1, 9), k=50)


def test_every_process_counts_the_tokens_of_all_micro_batches() -> None:
    batches = [LengthGroupedBatches(COUNTS, 8, 0, rank=rank, world_size=2, accumulate=2) for rank in range(2)]
    plans = [[*each.plan(0), *each.plan(1)] for each in batches]
    for tokens in (StepTokens(each, COUNTS) for each in batches):
        for step in (7, 0, 11, 6):  # over an epoch's end and back, as a resumed run may ask
            expected = sum(COUNTS[i] for plan in plans for part in plan[2 * step : 2 * step + 2] for i in part)
            assert tokens.of(step) == expected


@pytest.mark.parametrize("start", [0, 5])
def test_every_micro_batch_carries_its_share_of_the_steps_tokens(start: int) -> None:
    """Over the 4 micro-batches of a step, the mean of (sum / share) is the step's sum over its tokens."""
    batches = [LengthGroupedBatches(COUNTS, 8, 0, rank=rank, world_size=2, accumulate=2) for rank in range(2)]
    runs = [list(RunBatchSampler(each, 24, start, COUNTS)) for each in batches]
    for number in range(start % 2, len(runs[0]) - 1, 2):
        step = [part for run in runs for part in run[number : number + 2]]
        assert {part.loss_tokens for part in step} == {sum(COUNTS[i] for part in step for i in part.indices) / 4}
    assert {part.loss_tokens for part in RunBatchSampler(batches[0], 24)} == {None}
