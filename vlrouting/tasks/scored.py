"""The LightningModule around every task: optimisation, scores of validation and test, predictions, checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import lightning
from torch import Tensor

from vlrouting.config import ExperimentConfig
from vlrouting.data.loading.batch import Batch
from vlrouting.metrics.gathered import gathered_on_first_process, on_first_process
from vlrouting.metrics.score import Score, Scores
from vlrouting.models.not_finite import NotFinite
from vlrouting.tasks.optimization import make_optimizer
from vlrouting.tasks.prediction_records import prediction_records
from vlrouting.tasks.randomness import seed_step
from vlrouting.tasks.task import TaskModel
from vlrouting.tasks.trained_state import keep_trained_state, require_trained_state

MEAN = "mean"
"""Name of the main score of several datasets: the mean of their main metrics, each in the unit of its table."""


def missing_from_mean(
    datasets: Iterable[str], score: Mapping[str, Score], found: Mapping[str, Scores]
) -> dict[str, str]:
    """Datasets without a main score, for which there is no mean -> why.

    Args:
        datasets: all of them.
        score: how each is scored; those without the split are not there.
        found: the scores.
    """
    reasons = {}
    for name in datasets:
        main = score[name].main if name in score else ""
        if not main:
            reasons[name] = "it has no such split"
        elif main not in found[name].values:
            reasons[name] = found[name].not_computed.get(main, f"{main} was not computed")
    return reasons


@contextmanager
def _naming_examples(batch: Batch) -> Iterator[None]:
    """Says which examples of the batch an error about its rows means.

    Raises:
        NotFinite: with the first example in its text.
    """
    try:
        yield
    except NotFinite as error:
        first = batch.examples[error.rows[0]]
        images = f" ({', '.join(map(str, first.images))})" if first.images else ""
        whose = f"{error.what} of {len(error.rows)} of the batch's {len(batch)} examples, the first {first.id}{images},"
        raise NotFinite(whose, error.rows) from None


class TaskModule(lightning.LightningModule):
    """Trains and tests tasks, whose predictions are one text per example, which a dataset's metric scores.

    Attributes:
        task_models: by dataset, the joint model with its loss and predictions; all have the same joint model.
        task_model: the first of them: of a run with one dataset, that.
        model: the joint model.
        score: by split (`validation`, `test`) and dataset, how predictions are scored.
        scores: `validation/…` and `test/…` of the last pass over each. Lightning's own log would round them to float32.
        final_split: `test`, or `validation`: the split that a test scores (`evaluate.split`).
        main: the score that points are compared by, without its split.
        trained_steps: optimizer steps that the tested weights come from.
        tested: by dataset, what the metric gave for the last test; empty before.
        predictions: after a test, on the first process, what predictions.jsonl has: one record per example.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        task_models: Mapping[str, TaskModel],
        total_steps: int,
        score: Mapping[str, Mapping[str, Score]],
    ) -> None:
        """
        Args:
            config: of the point. Every batch's randomness is a function of the seed and of the batch's number.
            task_models: by dataset, in their order.
            total_steps: optimizer steps of the whole run.
            score: by split and dataset.
        """
        super().__init__()
        self.task_models, self.task_model = dict(task_models), next(iter(task_models.values()))
        self.model, self.config = self.task_model.model, config.train
        self.total_steps, self.seed = total_steps, config.seed
        self.score, self.several = score, bool(config.datasets)
        self.final_split = config.evaluate.split
        self.main = MEAN if self.several else next(iter(score[self.final_split].values())).main
        self.scores: dict[str, float] = {}
        self.trained_steps = total_steps
        self.tested: dict[str, Scores] = {}
        self.predictions: list[dict[str, Any]] = []
        self._predicted: list[tuple[str, int | str, str]] = []
        self.strict_loading = False  # checkpoints hold trained tensors only; `require_trained_state` checks them

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one micro-batch."""
        seed_step(self.seed, "train", batch_index, self.global_rank)
        with _naming_examples(batch):
            loss = self.task_models[batch.dataset].training_loss(batch)
        self.log("loss", loss.detach(), prog_bar=True, logger=False, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """Predict one batch of a validation split; the batch knows its dataset."""
        self._evaluate("validation", batch, batch_index)

    def test_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """Predict one batch of a test split, or of the one that takes its place; the batch knows its dataset."""
        self._evaluate(self.final_split, batch, batch_index)

    def _evaluate(self, split: str, batch: Batch, batch_index: int) -> None:
        seed_step(self.seed, split, batch_index, self.global_rank)
        with _naming_examples(batch):
            texts = self.task_models[batch.dataset].predict(batch)
        ids = (example.id for example in batch.examples)
        self._predicted += [(batch.dataset, *each) for each in zip(ids, texts, strict=True)]

    def on_validation_epoch_start(self) -> None:
        """Forget the predictions of a pass that was cut off."""
        self._predicted = []

    def on_test_epoch_start(self) -> None:
        """Forget the predictions of a pass that was cut off."""
        self._predicted = []

    def on_validation_epoch_end(self) -> None:
        """Score the validation splits."""
        self._score("validation", self._gathered())

    def on_test_epoch_end(self) -> None:
        """Score the splits; the first process gets the records of all."""
        predictions = self._gathered()
        self.tested = self._score(self.final_split, predictions)
        if self.global_rank == 0:
            self.predictions = [
                {"id": record["id"], "dataset": name, **record} if self.several else record
                for name, score in self.score[self.final_split].items()
                for record in prediction_records(score, predictions[name], self.tested[name], self._root(name))
            ]

    def _root(self, dataset: str) -> Path:
        return Path(self.task_models[dataset].inputs.config.data.root)

    def _gathered(self) -> dict[str, dict[int | str, str]]:
        """By dataset, example id -> text: of all processes on the first one."""
        found: dict[str, dict[int | str, str]] = {name: {} for name in self.task_models}
        for dataset, identity, text in gathered_on_first_process(self._predicted):
            found[dataset][identity] = text
        return found

    def _score(self, split: str, predictions: Mapping[str, Mapping[int | str, str]]) -> dict[str, Scores]:
        score = self.score[split]
        found = on_first_process(lambda: {name: each.compute(predictions[name]) for name, each in score.items()})
        for dataset, scores in found.items():
            prefix = f"{split}/{dataset}" if self.several else split
            self.scores |= {f"{prefix}/{name}": value for name, value in scores.values.items()}
        self.scores.pop(f"{split}/{MEAN}", None)  # of the pass before
        if self.several and not missing_from_mean(self.task_models, score, found):
            self.scores[f"{split}/{MEAN}"] = fmean(scores.values[score[name].main] for name, scores in found.items())
        return found

    def configure_optimizers(self) -> dict[str, Any]:
        """The optimizer over the trainable parameters, with its schedule stepped every optimizer step."""
        optimizer, schedule = make_optimizer(self.parameters(), self.config, self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen tensors out."""
        keep_trained_state(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that every trained tensor is there.

        Raises:
            ValueError: a tensor is missing or unexpected.
        """
        require_trained_state(self, checkpoint)
