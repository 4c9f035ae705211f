"""The splits of an experiment's datasets as DataLoaders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import lightning
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from vlrouting.backbones.loading_workers import WorkerLoader, lost_workers_as
from vlrouting.config import Problem, TrainConfig
from vlrouting.config.names import counted
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.batch import Batch
from vlrouting.data.loading.round_robin import RoundRobinSampler, turns
from vlrouting.data.loading.run_sampler import MicroBatch
from vlrouting.data.loading.sampler import EvaluationBatchSampler, LengthGroupedBatches
from vlrouting.data.loading.source import DatasetSource


class VisionLanguageDataModule(lightning.LightningDataModule):
    """Train, validation and test loaders of `Batch`: one of the training, which takes the datasets in turn, and one of
    validation and test for each dataset.

    Run the Trainer with `use_distributed_sampler=False`. The global random state is not used, so that dropout repeats
    after a resume.
    """

    def __init__(
        self,
        *,
        train: TrainConfig,
        evaluation_batch_size: int,
        seed: int,
        sources: Sequence[DatasetSource],
        missing_files: Callable[[], Sequence[Problem]] = tuple,
    ) -> None:
        """
        Args:
            train: micro-batches, and the number of processes that load data.
            evaluation_batch_size: examples of validation and test per forward pass and device.
            seed: of the training order.
            sources: the datasets, in the order of their turns.
            missing_files: finds out which files are not there.
        """
        super().__init__()
        self.config, self.evaluation_batch_size, self.seed = train, evaluation_batch_size, seed
        self.sources, self._missing_files = {source.name: source for source in sources}, missing_files
        self.run_batches, self._batches_done = self.steps_per_epoch * train.accumulate, 0
        self._loaders: list[WorkerLoader[Batch]] = []

    def prepare_data(self) -> None:
        """Check that the files are there. Nothing is downloaded here: `vlrouting data fetch` does that.

        Raises:
            DataError: has a line for each file that is missing, with its remedy.
        """
        missing = self._missing_files()
        if missing:
            raise DataError.of_missing(missing)

    def plan_run(self, batches: int, done: int = 0) -> None:
        """Make `train_dataloader` give a whole run: `batches` micro-batches over as many epochs as it takes, without
        the first `done`, which an earlier attempt has trained on. Default: one epoch."""
        self.run_batches, self._batches_done = batches, done

    def train_dataloader(self) -> DataLoader[Batch]:
        """The micro-batches of the planned run that are this process's, of similar length."""
        targets = {name: source.target_tokens() for name, source in self.sources.items()}
        turn = self.config.accumulate
        batches = self._batches(*self._ranks(), turn)
        sampler = RoundRobinSampler(batches, self.run_batches, self._batches_done, turn=turn, target_tokens=targets)
        return self._loader(_Batches(self.sources), sampler, _unchanged, keep_workers=True)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """The validation splits in fixed order, every example once over all ranks; a loader for each dataset that has
        one."""
        pairs = ((source, source.validation_examples) for source in self.sources.values())
        return [self._evaluation_loader(source, examples) for source, examples in pairs if examples is not None]

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """The test splits in fixed order, every example once over all ranks; a loader for each dataset."""
        return [self._evaluation_loader(source, source.test_examples) for source in self.sources.values()]

    def first_batches(self, count: int) -> Iterator[Batch]:
        """The first training batches of the seed's order, of each dataset in turn; each has the size of a micro-batch,
        and is the same on every rank."""
        for chosen in RoundRobinSampler(self._batches(0, 1, self.config.micro_batches), count, turn=1):
            yield self.sources[chosen.dataset].training_batch(chosen)

    @property
    def first(self) -> DatasetSource:
        """The first dataset: of a run with one, that."""
        return next(iter(self.sources.values()))

    @property
    def rounds_per_epoch(self) -> int:
        """Rounds of an epoch: as many as the dataset with the most batches has batches.

        Raises:
            DataError: a training split does not fill one batch.
        """
        return max(source.steps_per_epoch for source in self.sources.values())

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch, on however many devices; raises DataError as `rounds_per_epoch`."""
        return self.rounds_per_epoch * len(self.sources)

    def examples_in(self, steps: int) -> int:
        """Examples that the first so many optimizer steps learn from."""
        counts = turns(steps, len(self.sources))
        return sum(n * source.batch_size for n, source in zip(counts, self.sources.values(), strict=True))

    @property
    def schedule(self) -> str:
        """What an epoch is, for people."""
        each = ", ".join(f"{name} {counted(each.batch_size, 'example')}" for name, each in self.sources.items())
        longest = max(self.sources.values(), key=lambda source: source.steps_per_epoch)
        rounds = f"{counted(self.rounds_per_epoch, 'round')}, the batches of {longest.name}"
        return f"an epoch is {counted(self.steps_per_epoch, 'step')}: {rounds}; a round is a step of each: {each}"

    def watched_workers(self) -> AbstractContextManager[None]:
        """Inside of it a data-loading process that is killed is a DataError: one sentence with the remedy."""
        return lost_workers_as(DataError, self._loaders)

    def _batches(self, rank: int, world_size: int, accumulate: int) -> dict[str, LengthGroupedBatches]:
        ranks = {"rank": rank, "world_size": world_size}
        return {
            name: source.batches(self.seed, **ranks, accumulate=accumulate) for name, source in self.sources.items()
        }

    def _ranks(self) -> tuple[int, int]:
        """Rank and number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _evaluation_loader(self, source: DatasetSource, examples: Sequence[Example]) -> DataLoader[Batch]:
        lengths = source.evaluation_collate.lengths(examples)
        sampler = EvaluationBatchSampler(lengths, self.evaluation_batch_size, *self._ranks())
        # A list has all that a DataLoader needs of a data set.
        keep = len(self.sources) == 1  # those of many loaders would fill the machine
        return self._loader(cast(Dataset[Any], examples), sampler, source.evaluation_batch, keep_workers=keep)

    def _loader(
        self, dataset: Dataset[Any], sampler: Sampler[Any], collate: Callable[[Any], Batch], *, keep_workers: bool
    ) -> DataLoader[Batch]:
        workers = self.config.workers
        if workers > 0:
            # All texts are tokenised by now; without this each forked worker warns about the tokenizer's threads.
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        loader: WorkerLoader[Batch] = WorkerLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0 and keep_workers,
            pin_memory=on_gpu,
            # The loader draws a seed for its workers; without a generator of its own, from the global one.
            generator=torch.Generator().manual_seed(self.seed),
        )
        self._loaders.append(loader)
        return loader


class _Batches(Dataset[Any]):
    """Training batches by `MicroBatch`."""

    def __init__(self, sources: Mapping[str, DatasetSource]) -> None:
        self.sources = sources

    def __getitems__(self, chosen: MicroBatch) -> Batch:
        """The DataLoader's fetcher calls this with what the batch sampler gives."""
        return self.sources[chosen.dataset].training_batch(chosen)


def _unchanged(batch: Batch) -> Batch:
    return batch
