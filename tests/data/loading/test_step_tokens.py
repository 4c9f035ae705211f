"""How many tokens a step learns, known to every process without asking the others."""

from __future__ import annotations

import random

from vlrouting.data.loading.sampler import LengthGroupedBatchSampler
from vlrouting.data.loading.step_tokens import StepTokens

COUNTS = random.Random(1).choices(range(1, 9), k=50)


def test_every_process_counts_the_tokens_of_all_pieces() -> None:
    samplers = [LengthGroupedBatchSampler(COUNTS, 8, 0, rank, 2, accumulate=2) for rank in range(2)]
    pieces = [[*sampler.plan(0), *sampler.plan(1)] for sampler in samplers]
    for tokens in (StepTokens(sampler, COUNTS) for sampler in samplers):
        for step in (7, 0, 11, 6):  # over an epoch's end and back, as a resumed run may ask
            learnt = sum(COUNTS[i] for share in pieces for piece in share[2 * step : 2 * step + 2] for i in piece)
            assert tokens.of(step) == learnt
