"""The Lightning Trainer of a point."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import lightning
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.strategies import Strategy

from vlrouting.config import ExperimentConfig
from vlrouting.experiment import RunDirectory
from vlrouting.training.checkpoints import AtomicCheckpointIO, RunCheckpoints
from vlrouting.training.curves import Curves
from vlrouting.training.event_files import EventLogger
from vlrouting.training.precision import precision_of
from vlrouting.training.process_rank import Place
from vlrouting.training.progress_file import ProgressFile
from vlrouting.training.strategy import cluster_environment

QUIET_REFRESH = 100
"""Steps between two lines of progress where nobody watches a bar: in a log file."""


def make_trainer(
    config: ExperimentConfig,
    run: RunDirectory,
    total_steps: int,
    batches_per_epoch: int,
    checkpoints: RunCheckpoints,
    place: Place,
    strategy: Strategy | str,
    title: str,
) -> lightning.Trainer:
    """A Trainer that takes the whole run for one epoch (see `RunBatchSampler`).

    Args:
        config: the point.
        run: where TensorBoard's files go.
        total_steps: optimizer steps of the run.
        batches_per_epoch: batches of one pass over the training data.
        checkpoints: saves the run.
        place: where this process stands in its group.
        strategy: of `make_strategy`.
        title: what the progress bar says.
    """
    quiet_lightning()
    watched = sys.stderr.isatty()
    train = config.train
    batches = total_steps * train.accumulate
    interval = train.validate_every_steps * train.accumulate if train.validate_every_steps else batches_per_epoch
    logger = EventLogger(run.path, name=None, version="tensorboard", default_hp_metric=False)
    return lightning.Trainer(
        accelerator=train.accelerator,
        devices=train.devices if place.world_size > 1 else 1,
        num_nodes=train.nodes if place.world_size > 1 else 1,
        strategy=strategy,
        precision=precision_of(train),
        max_epochs=1,
        max_steps=total_steps,
        accumulate_grad_batches=train.accumulate,
        gradient_clip_val=train.clip_norm,
        val_check_interval=min(interval, batches),
        check_val_every_n_epoch=None,
        limit_val_batches=0 if config.data.validation is None else None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=run.path,
        logger=logger,
        plugins=[AtomicCheckpointIO(run), cluster_environment(place)],
        # The curves first: what a checkpoint has behind it must be logged.
        callbacks=[
            *(Curves(train.log_every_steps), checkpoints, ProgressFile(run.progress, lines=not watched)),
            *([ProgressBar(title)] if watched else []),
        ],
        enable_progress_bar=watched,
    )


class ProgressBar(TQDMProgressBar):
    """One bar for the run's steps; in a log file a line now and then."""

    def __init__(self, title: str) -> None:
        super().__init__(refresh_rate=1 if sys.stderr.isatty() else QUIET_REFRESH, leave=True)
        self.title = title

    def init_train_tqdm(self) -> Any:
        """The bar of the training."""
        bar = super().init_train_tqdm()
        bar.unit = "step"
        return bar

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """The run is one epoch to the Trainer, so the bar says which point it is instead of which epoch."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(self.title)

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        """What stands at the bar's end."""
        metrics = dict(super().get_metrics(trainer, pl_module))
        metrics.pop("v_num", None)
        return metrics


def quiet_lightning() -> None:
    """Leaves out greetings, and advice that does not hold here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",  # features come from memory; train.workers is there for images
        ".*in eval mode at the start of training.*",  # the frozen backbone, on purpose
        ".*`srun` command is available.*",  # on a cluster's login node; `vlrouting doctor` says it where it matters
        ".*smaller than the logging interval.*",  # of Lightning's own log, which is not used
        ".*is not resumable.*",  # the sampler goes on from its position
        ".*LeafSpec.*",  # inside Lightning
    ):
        warnings.filterwarnings("ignore", text)
