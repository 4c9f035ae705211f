"""The micro-batches of a run on several datasets: a step of each in turn, and a position is still a single number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch.utils.data import Sampler

from vlrouting.data.loading.run_sampler import MicroBatch, RunBatchSampler
from vlrouting.data.loading.sampler import LengthGroupedBatches
from vlrouting.data.loading.step_tokens import TargetTokens


class RoundRobinSampler(Sampler[MicroBatch]):
    """One rank's micro-batches, `total` in all, from `start` on.

    A round is one optimizer step of each dataset, in the order that they are given in. Each dataset goes through epochs
    of its own, as if it were trained alone, and starts over when it is through. So all ranks have the same dataset in
    a step, and with one dataset this is a `RunBatchSampler`.
    """

    def __init__(
        self,
        batches: Mapping[str, LengthGroupedBatches],
        total: int,
        start: int = 0,
        *,
        turn: int,
        target_tokens: Mapping[str, TargetTokens | None] | None = None,
    ) -> None:
        """
        Args:
            batches: of each dataset.
            total: micro-batches of the whole run.
            start: micro-batches of it that are done already.
            turn: micro-batches of a dataset before the next one has its turn: those of an optimizer step.
            target_tokens: of each dataset's examples (see `RunBatchSampler`).
        """
        self.batches, self.total, self.start, self.turn = batches, total, start, turn
        shares = turns(total, len(batches), turn), turns(start, len(batches), turn)
        tokens = target_tokens or {}
        self._runs = {
            name: RunBatchSampler(of_dataset, own_total, own_start, tokens.get(name))
            for (name, of_dataset), own_total, own_start in zip(batches.items(), *shares, strict=True)
        }

    def __len__(self) -> int:
        """Micro-batches of the whole run, wherever it starts."""
        return self.total

    def __iter__(self) -> Iterator[MicroBatch]:
        runs = {name: iter(run) for name, run in self._runs.items()}
        names = list(runs)
        for position in range(self.start, self.total):
            name = names[position // self.turn % len(names)]
            yield next(runs[name])._replace(dataset=name)


def turns(position: int, datasets: int, turn: int = 1) -> Sequence[int]:
    """How many of the first `position` steps (or micro-batches, `turn` of them a step) are each dataset's."""
    rounds, rest = divmod(position, datasets * turn)
    return [rounds * turn + min(max(rest - number * turn, 0), turn) for number in range(datasets)]
