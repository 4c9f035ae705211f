"""One dataset of a run: its examples, and how they become batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vlrouting.data.example import Example
from vlrouting.data.loading.batch import Batch, CollateFunction
from vlrouting.data.loading.run_sampler import MicroBatch
from vlrouting.data.loading.sampled_answers import SampledAnswers
from vlrouting.data.loading.sampler import LengthGroupedBatches, whole_batches


@dataclass
class DatasetSource:
    """A dataset, with the name that it has in the run."""

    name: str
    batch_size: int
    """Examples of an optimizer step, over all devices and micro-batches."""
    collate: CollateFunction
    """Makes the training batches."""
    evaluation_collate: CollateFunction
    """Makes those of validation and test."""
    training_examples: Sequence[Example]
    """What an epoch goes through."""
    validation_examples: Sequence[Example] | None
    """None where nothing is validated."""
    test_examples: Sequence[Example]
    """What is reported."""
    sampled: SampledAnswers | None = None
    """Draws the answers of the training examples; None leaves them as they are."""
    batch_size_key: str = "train.batch_size"
    """Where the batch size is given."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch of this dataset.

        Raises:
            DataError: the training split does not fill one batch.
        """
        return whole_batches(len(self.training_examples), self.batch_size, self.batch_size_key)

    def batches(self, seed: int, *, rank: int, world_size: int, accumulate: int) -> LengthGroupedBatches:
        """The training batches of one rank; raises DataError as `steps_per_epoch`. Answers that are drawn do not change
        them."""
        lengths = self.collate.lengths(self.training_examples)
        ranks = {"rank": rank, "world_size": world_size}
        return LengthGroupedBatches(lengths, self.batch_size, seed, **ranks, accumulate=accumulate)

    def target_tokens(self) -> Callable[[int], np.ndarray] | None:
        """Epoch -> target tokens of every training example, (N,); None where the loss is no mean over tokens."""
        sampled = self.sampled
        counts = self.collate.target_tokens(self.training_examples if sampled is None else sampled.candidates)
        if counts is None:
            return None
        return lambda epoch: counts if sampled is None else counts[sampled.drawn(epoch)]

    def training_batch(self, chosen: MicroBatch) -> Batch:
        """The examples of a micro-batch, with the answers of its epoch."""
        if self.sampled is None:
            examples = [self.training_examples[index] for index in chosen.indices]
        else:
            examples = [self.sampled.example(index, chosen.epoch) for index in chosen.indices]
        batch = self.batch_with_targets(examples)
        batch.loss_tokens = chosen.loss_tokens
        return batch

    def batch_with_targets(self, examples: Sequence[Example]) -> Batch:
        """Any examples as training has them."""
        return self._named(self.collate(examples))

    def evaluation_batch(self, examples: Sequence[Example]) -> Batch:
        """Examples of validation or test."""
        return self._named(self.evaluation_collate(examples))

    def _named(self, batch: Batch) -> Batch:
        batch.dataset = self.name  # the collate function knows the reader's name alone
        return batch
