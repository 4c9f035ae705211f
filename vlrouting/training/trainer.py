"""The Lightning Trainer of a point."""

from __future__ import annotations

import logging
import warnings

import lightning

from vlrouting.config import ExperimentConfig
from vlrouting.config.training import TEST
from vlrouting.experiment import Point, RunDirectory
from vlrouting.training.assembly import Built
from vlrouting.training.checkpoints import AtomicCheckpointIO, RunCheckpoints
from vlrouting.training.curves import Curves
from vlrouting.training.device import precision_of
from vlrouting.training.early_stopping import StopEarly
from vlrouting.training.finite import FiniteNumbers
from vlrouting.training.loggers import make_loggers
from vlrouting.training.process_rank import ProcessRank
from vlrouting.training.progress_file import ProgressBar
from vlrouting.training.strategy import cluster_environment, make_strategy


def make_trainer(
    *,
    point: Point,
    run: RunDirectory,
    built: Built,
    checkpoints: RunCheckpoints,
    rank: ProcessRank,
) -> lightning.Trainer:
    """A Trainer to which the whole run is one epoch (see `RunBatchSampler`)."""
    quiet_lightning()
    train, total_steps = point.config.train, built.task.total_steps
    interval = (train.validate_every_steps or built.data.steps_per_epoch) * train.accumulate
    stopping = [StopEarly(train.early_stopping, checkpoints.monitor)] if train.early_stopping is not None else []
    return lightning.Trainer(
        accelerator=train.accelerator,
        devices=train.devices if rank.world_size > 1 else 1,
        num_nodes=train.nodes if rank.world_size > 1 else 1,
        strategy=make_strategy(train, rank, built.task),
        precision=precision_of(train),
        max_epochs=1,
        max_steps=total_steps,
        accumulate_grad_batches=train.accumulate,
        gradient_clip_val=train.clip_norm,
        val_check_interval=min(interval, total_steps * train.accumulate),
        check_val_every_n_epoch=None,
        limit_val_batches=None if _validates(point.config) else 0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=run.path,
        logger=make_loggers(train.logger, run),
        plugins=[AtomicCheckpointIO(run), cluster_environment(rank)],
        # Numbers first, so that nothing of a failed step is saved. Then the curves: everything up to a checkpoint must
        # have been logged before it. Early stopping decides before its decision is saved.
        callbacks=[
            FiniteNumbers(),
            Curves(train.log_every_steps),
            *stopping,
            checkpoints,
            ProgressBar(point.name, run.progress),
        ],
    )


def _validates(config: ExperimentConfig) -> bool:
    """Whether there is a validation split that is not only scored at the end. It may be that of some datasets alone;
    then there is no mean of all."""
    chooses = config.evaluate.checkpoint == "best" or config.train.early_stopping is not None
    validation = [view.data.validation for view in config.per_dataset.values()]
    return any(split is not None for split in validation) and (config.evaluate.split == TEST or chooses)


def quiet_lightning() -> None:
    """Silence greetings, and advice that does not apply here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",  # features come from memory; train.workers is there for images
        ".*in eval mode at the start of training.*",  # the frozen backbone, on purpose
        ".*`srun` command is available.*",  # on a cluster's login node; `vlrouting doctor` says it where it matters
        ".*smaller than the logging interval.*",  # of Lightning's own log, which is not used
        ".*is not resumable.*",  # the sampler starts at its position
        ".*LeafSpec.*",  # inside Lightning
    ):
        warnings.filterwarnings("ignore", text)
