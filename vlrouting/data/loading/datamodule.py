"""The splits of an experiment as DataLoaders."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Mapping, Sequence
from typing import cast

import lightning
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from vlrouting.config import DataConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.registry import chosen_splits
from vlrouting.data.example import DataError, Example
from vlrouting.data.loading.batch import Batch, BatchMaker
from vlrouting.data.loading.run_sampler import RunBatchSampler
from vlrouting.data.loading.sampler import EvaluationBatchSampler, LengthGroupedBatchSampler, whole_batches
from vlrouting.data.loading.step_tokens import StepTokens
from vlrouting.data.loading.text_batch import TextCollate


class VisionLanguageDataModule(lightning.LightningDataModule):
    """Train, validation and test loaders of `Batch`.

    Run the Trainer with `use_distributed_sampler=False`. A split is always called by its name in `data.splits`. Nothing
    here draws from the global random state, so that dropout repeats after a resume.
    """

    def __init__(
        self,
        data: DataConfig,
        batch_size: int,
        evaluation_batch_size: int,
        workers: int,
        seed: int,
        collate: BatchMaker,
        evaluation_collate: BatchMaker | None = None,
        accumulate: int = 1,
        examples: Mapping[str, Sequence[Example]] | None = None,
        training_examples: Sequence[Example] | None = None,
    ) -> None:
        """
        Args:
            data: the section of the experiment.
            batch_size: training examples per optimizer step, over all devices.
            evaluation_batch_size: examples of validation and test per forward pass and device.
            workers: processes that load; 0 loads in this one.
            seed: of the training order.
            collate: makes the batches.
            evaluation_collate: makes those of validation and test. Default: the same.
            accumulate: pieces that each device cuts its share of a training batch into.
            examples: by split name, what has been read already; it is neither read nor checked again.
            training_examples: what to train on instead of the training split as it was read: every caption of an image
                by itself, for instance.
        """
        super().__init__()
        self.data, self.seed, self.workers = data, seed, workers
        self.batch_size, self.evaluation_batch_size = batch_size, evaluation_batch_size
        self.accumulate = accumulate
        self.collate, self.evaluation_collate = collate, evaluation_collate or collate
        self.examples: dict[str, Sequence[Example]] = dict(examples or {})
        self._training_examples = training_examples
        self._train_sampler: LengthGroupedBatchSampler | None = None
        self._step_tokens: StepTokens | None = None
        self.run_batches, self._batches_done = 0, 0

    def plan_run(self, batches: int, done: int = 0) -> None:
        """Make `train_dataloader` give a whole run: `batches` of them over as many epochs as it takes, without the
        first `done`, which an earlier attempt has trained on."""
        self.run_batches, self._batches_done = batches, done

    def setup(self, stage: str | None = None) -> None:
        """Read what the stage needs and has not been read yet.

        Raises:
            DataError: something is missing or broken, or the training or validation split has no answers.
        """
        by_stage = {"test": [self.data.test], "fit": self._fit_splits()}
        wanted = by_stage.get(stage or "", chosen_splits(self.data))
        unread = [name for name in wanted if name not in self.examples]
        if unread:
            visual = self.collate.visual
            self.examples.update(read_splits(self.data, unread, images=visual is not None and visual.kind == "pixels"))
        for name in self._fit_splits():
            if name in wanted and not any(example.labels or example.answers for example in self.examples[name]):
                raise DataError(
                    f"the split '{name}' has no answers, so it can neither train nor validate; choose another"
                )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of similar length: an epoch's (or the rest of one, after `train_sampler.set_position`), or those of
        the run that was planned."""
        sampler = self.train_sampler
        if (sampler.rank, sampler.world_size) != self._place():
            raise RuntimeError("train_sampler was used before the Trainer was attached; ranks would see the same data")
        if self.run_batches:
            return self._loader(
                self.training_examples, self.collate, RunBatchSampler(sampler, self.run_batches, self._batches_done)
            )
        return self._loader(self.training_examples, self.collate, sampler)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """The validation split in fixed order, every example once over all ranks; no loader without such a split."""
        return self._evaluation_loader(self.data.validation) if self.data.validation is not None else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test split in fixed order, every example once over all ranks."""
        return self._evaluation_loader(self.data.test)

    @property
    def train_sampler(self) -> LengthGroupedBatchSampler:
        """The sampler of `train_dataloader`, the same one on every call. With several devices, ask for it only once
        the Trainer is attached."""
        if self._train_sampler is None:
            rank, world_size = self._place()
            lengths = self.collate.lengths(self.training_examples)
            self._train_sampler = LengthGroupedBatchSampler(
                lengths, self.batch_size, self.seed, rank, world_size, self.accumulate
            )
        return self._train_sampler

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch, on however many devices.

        Raises:
            DataError: the training split does not fill one batch.
        """
        return whole_batches(len(self.training_examples), self.batch_size)

    def learnt_tokens(self, step: int) -> int:
        """Tokens that an optimizer step learns to write, over all devices and pieces. Only for text that is written."""
        if self._step_tokens is None:
            assert isinstance(self.collate, TextCollate)
            self._step_tokens = StepTokens(self.train_sampler, self.collate.learnt_tokens(self.training_examples))
        return self._step_tokens.of(step)

    @property
    def training_examples(self) -> Sequence[Example]:
        """What an epoch goes through."""
        return self.examples[self.data.train] if self._training_examples is None else self._training_examples

    def _fit_splits(self) -> list[str]:
        return [name for name in (self.data.train, self.data.validation) if name is not None]

    def _place(self) -> tuple[int, int]:
        """Rank and number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _evaluation_loader(self, split: str) -> DataLoader[Batch]:
        examples = self.examples[split]
        lengths = self.evaluation_collate.lengths(examples)
        sampler = EvaluationBatchSampler(lengths, self.evaluation_batch_size, *self._place())
        return self._loader(examples, self.evaluation_collate, sampler)

    def _loader(
        self, examples: Sequence[Example], collate: BatchMaker, sampler: Sampler[list[int]]
    ) -> DataLoader[Batch]:
        if self.workers > 0:
            # All texts are tokenised by now; without this each forked worker warns about the tokenizer's threads.
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(
            _as_dataset(examples),
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=on_gpu,
            worker_init_fn=_begin_worker,
            # The loader draws a seed for its workers; without a generator of its own, from the global one.
            generator=torch.Generator().manual_seed(self.seed),
        )


def _begin_worker(worker: int) -> None:
    """Keep the garbage collector of a forked worker off what it shares with its parent: it would write into the objects
    of every library, and so copy them, over 100 MB a worker. And keep it alive when a scheduler, or Ctrl-C, tells all
    processes to stop: its parent needs the batch to end the step and save, and ends it then."""
    gc.freeze()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _as_dataset(examples: Sequence[Example]) -> Dataset[Batch]:
    """A list has all that a DataLoader asks of a data set."""
    return cast(Dataset[Batch], examples)
