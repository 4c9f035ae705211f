"""The splits of an experiment as DataLoaders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import lightning
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from vlrouting.backbones.loading_workers import WorkerLoader, lost_workers_as
from vlrouting.config import Problem, TrainConfig
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.batch import Batch, CollateFunction
from vlrouting.data.loading.run_sampler import MicroBatch, RunBatchSampler
from vlrouting.data.loading.sampler import EvaluationBatchSampler, LengthGroupedBatches, whole_batches


class VisionLanguageDataModule(lightning.LightningDataModule):
    """Train, validation and test loaders of `Batch`.

    Run the Trainer with `use_distributed_sampler=False`. The global random state is not used, so that dropout repeats
    after a resume.
    """

    def __init__(
        self,
        *,
        train: TrainConfig,
        evaluation_batch_size: int,
        seed: int,
        collate: CollateFunction,
        evaluation_collate: CollateFunction,
        training_examples: Sequence[Example],
        validation_examples: Sequence[Example] | None,
        test_examples: Sequence[Example],
        missing_files: Callable[[], Sequence[Problem]] = tuple,
    ) -> None:
        """
        Args:
            train: batch size over all devices, micro-batches, and the number of processes that load data.
            evaluation_batch_size: examples of validation and test per forward pass and device.
            seed: of the training order.
            collate: makes the training batches.
            evaluation_collate: makes those of validation and test.
            training_examples: what an epoch goes through.
            validation_examples: None where nothing is validated.
            test_examples: what is reported.
            missing_files: finds out which files are not there.
        """
        super().__init__()
        self.config, self.evaluation_batch_size, self.seed = train, evaluation_batch_size, seed
        self.collate, self.evaluation_collate = collate, evaluation_collate
        self.training_examples, self.test_examples = training_examples, test_examples
        self.validation_examples, self._missing_files = validation_examples, missing_files
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
        targets = self.collate.target_tokens(self.training_examples)
        batches = self._batches(*self._ranks(), self.config.accumulate)
        sampler = RunBatchSampler(batches, self.run_batches, self._batches_done, targets)
        return self._loader(_Batches(self.training_examples, self.collate), sampler, _unchanged)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """The validation split in fixed order, every example once over all ranks; no loader without such a split."""
        return self._evaluation_loader(self.validation_examples) if self.validation_examples is not None else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test split in fixed order, every example once over all ranks."""
        return self._evaluation_loader(self.test_examples)

    def first_batches(self, count: int) -> Iterator[Batch]:
        """The first training batches of the seed's order, of the size of a micro-batch; the same on every rank."""
        batches = self._batches(0, 1, self.config.micro_batches)
        for chosen in RunBatchSampler(batches, count):
            yield self.collate([self.training_examples[index] for index in chosen.indices])

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch, on however many devices.

        Raises:
            DataError: the training split does not fill one batch.
        """
        return whole_batches(len(self.training_examples), self.config.batch_size)

    def watched_workers(self) -> AbstractContextManager[None]:
        """Inside of it a data-loading process that is killed is a DataError: one sentence with the remedy."""
        return lost_workers_as(DataError, self._loaders)

    def _batches(self, rank: int, world_size: int, accumulate: int) -> LengthGroupedBatches:
        lengths = self.collate.lengths(self.training_examples)
        size, ranks = self.config.batch_size, {"rank": rank, "world_size": world_size}
        return LengthGroupedBatches(lengths, size, self.seed, **ranks, accumulate=accumulate)

    def _ranks(self) -> tuple[int, int]:
        """Rank and number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _evaluation_loader(self, examples: Sequence[Example]) -> DataLoader[Batch]:
        lengths = self.evaluation_collate.lengths(examples)
        sampler = EvaluationBatchSampler(lengths, self.evaluation_batch_size, *self._ranks())
        # A list has all that a DataLoader needs of a data set.
        return self._loader(cast(Dataset[Any], examples), sampler, self.evaluation_collate)

    def _loader(
        self, dataset: Dataset[Any], sampler: Sampler[Any], collate: Callable[[Any], Batch]
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
            persistent_workers=workers > 0,
            pin_memory=on_gpu,
            # The loader draws a seed for its workers; without a generator of its own, from the global one.
            generator=torch.Generator().manual_seed(self.seed),
        )
        self._loaders.append(loader)
        return loader


class _Batches(Dataset[Any]):
    """Training batches by `MicroBatch`."""

    def __init__(self, examples: Sequence[Example], collate: CollateFunction) -> None:
        self.examples, self.collate = examples, collate

    def __getitems__(self, chosen: MicroBatch) -> Batch:
        """The DataLoader's fetcher calls this with what the batch sampler gives."""
        batch = self.collate([self.examples[index] for index in chosen.indices])
        batch.loss_tokens = chosen.loss_tokens
        return batch


def _unchanged(batch: Batch) -> Batch:
    return batch
