"""What holds for the samplers whatever the sizes: nothing twice, nothing lost, the same however often it is resumed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from vlrouting.data.loading.run_sampler import MicroBatch, RunBatchSampler
from vlrouting.data.loading.sampler import EvaluationBatchSampler, LengthGroupedBatches

quick = settings(derandomize=True, deadline=None, max_examples=80)
LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=120)


@quick
@given(LENGTHS, st.integers(1, 9), st.integers(1, 6))
def test_evaluation_goes_once_over_every_example(lengths: list[int], batch_size: int, ranks: int) -> None:
    ranks = min(ranks, len(lengths))
    shares = [list(EvaluationBatchSampler(lengths, batch_size, rank, ranks)) for rank in range(ranks)]
    assert Counter(index for share in shares for batch in share for index in batch) == Counter(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for share in shares for batch in share)
    assert batch_size == 1 or len({len(share) for share in shares}) == 1  # no rank waits for another


@st.composite
def trainings(draw: st.DrawFn) -> dict[str, int]:
    """Sizes that fit: of the data, the batch, and how it is cut."""
    ranks, accumulate, micro = (draw(st.integers(1, most)) for most in (3, 3, 4))
    size = ranks * accumulate * micro
    return {
        "examples": size + draw(st.integers(0, 60)), "size": size, "ranks": ranks, "accumulate": accumulate,
        "seed": draw(st.integers(0, 2**31)),
    }  # fmt: skip


def runs(sizes: dict[str, int], total: int, start: int = 0) -> list[list[MicroBatch]]:
    """Each rank's micro-batches of a run; the loss is a mean over tokens, of which example n has n + 1."""
    lengths = [1 + number * 7 % 11 for number in range(sizes["examples"])]
    tokens = [number + 1 for number in range(sizes["examples"])]
    return [
        list(
            RunBatchSampler(
                LengthGroupedBatches(
                    lengths, sizes["size"], sizes["seed"], rank=rank, world_size=sizes["ranks"],
                    accumulate=sizes["accumulate"],
                ),
                total, start, tokens,
            )
        )
        for rank in range(sizes["ranks"])
    ]  # fmt: skip


@quick
@given(trainings())
def test_an_epoch_has_no_example_twice_and_leaves_out_less_than_a_batch(sizes: dict[str, int]) -> None:
    steps = sizes["examples"] // sizes["size"]
    shares = runs(sizes, steps * sizes["accumulate"])
    seen = Counter(index for share in shares for batch in share for index in batch.indices)
    assert set(seen.values()) == {1} and len(seen) == steps * sizes["size"]


@quick
@given(trainings(), st.integers(1, 30), st.data())
def test_a_resumed_run_goes_on_where_it_was(sizes: dict[str, int], total: int, data: st.DataObject) -> None:
    whole, start = runs(sizes, total), data.draw(st.integers(0, total))
    assert runs(sizes, total, start) == [share[start:] for share in whole]
    assert {len(share) for share in whole} == {total}


@quick
@given(trainings(), st.integers(1, 20))
def test_ranks_and_micro_batches_change_no_step(sizes: dict[str, int], steps: int) -> None:
    shares = runs(sizes, steps * sizes["accumulate"])
    (alone,) = runs({**sizes, "ranks": 1, "accumulate": 1}, steps)
    for step, batch in enumerate(alone):
        of_step = slice(step * sizes["accumulate"], (step + 1) * sizes["accumulate"])
        parts = [part for share in shares for part in share[of_step]]
        assert Counter(index for part in parts for index in part.indices) == Counter(batch.indices)
        # The mean over the parts of (their loss / loss_tokens) is the mean over the step's tokens.
        assert {part.loss_tokens for part in parts} == {sum(i + 1 for i in batch.indices) / len(parts)}
