"""One point from its configuration to a complete run directory; an interrupted one is resumed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import lightning

from vlrouting.bottleneck.artifact import write_artifact
from vlrouting.experiment import (
    Point,
    RunDirectory,
    atomically,
    environment,
    to_yaml,
)
from vlrouting.experiment.atomic import sweep_temporary
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.progress import Progress, last_training_step, write_progress
from vlrouting.models.not_finite import NotFinite
from vlrouting.progress_bar import say
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.checkpoints import RunCheckpoints
from vlrouting.training.data_record import record_data
from vlrouting.training.device import device_kind, device_name, peak_memory, reset_peak_memory
from vlrouting.training.event_files import keep_until
from vlrouting.training.finite import Diverged
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled, Interruption
from vlrouting.training.out_of_memory import memory_errors_explained
from vlrouting.training.process_rank import SINGLE_PROCESS, ProcessRank, scheduler_job
from vlrouting.training.reserved_space import reserved_space
from vlrouting.training.results import described_scores, write_predictions
from vlrouting.training.resume import Resume
from vlrouting.training.selected import SelectionFile
from vlrouting.training.trainer import make_trainer
from vlrouting.training.user_errors import (
    disk_errors_as_user_errors,
    error_text,
    require_run_directory,
    written_folders,
)


@dataclass(frozen=True)
class PointRun:
    """A point and what one process of its group needs to run it.

    Attributes:
        point: what to run.
        run: its directory.
        inputs: shared by the points of the sweep.
        interruption: signals that this process got.
        hyper_parameters: the keys that differ over the sweep, for TensorBoard's HPARAMS.
        rank: of this process; the first one writes.
    """

    point: Point
    run: RunDirectory
    inputs: SharedInputs
    interruption: Interruption
    hyper_parameters: Mapping[str, Any]
    rank: ProcessRank = SINGLE_PROCESS

    def train_and_test(self) -> None:
        """Train, test, and write everything of the point.

        Raises:
            Cancelled: stopped by a signal; the directory's status is `cancelled`, or `preempted`.
            UserError, DataError, BackboneError: what the user can fix, a full disk among them; the status is `failed`.
            PointFailure: out of memory, or the run directory was removed.
        """
        # Inside the attempt, so that run.json has the explanation; around it, because its own files may fail as well.
        with (
            self._disk_errors(),
            self._attempt() if self.rank.is_first else nullcontext(),
            self._disk_errors(),
            memory_errors_explained(self.point.config),
        ):
            self._train_and_test()

    def _disk_errors(self) -> AbstractContextManager[None]:
        return disk_errors_as_user_errors(self.point.name, written_folders(self.point.config), self.run)

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        """Lock the directory, and record in it how the attempt starts and ends."""
        run, attempts = self.run, Attempts(self.run.attempts)
        with run.lock():
            run.prepare(to_yaml(self.point.config))
            with reserved_space(run.path) as free_reserve:
                yield from self._recorded(attempts, free_reserve)

    def _recorded(self, attempts: Attempts, free_reserve: Callable[[], None]) -> Iterator[None]:
        """Record the start, and the end on space that is freed for it."""
        run = self.run
        facts = {"seed": self.point.config.seed, "swept": dict(self.hyper_parameters), **environment()}
        run.update_run(status="running", error=None, failed_rank=None, signal=None, diverged=False, **facts)
        write_progress(run.progress, Progress("preparing", updated=time.time()))
        attempts.begin(socket.gethostname(), scheduler_job(), self.rank.group or None)
        try:
            yield
        except (Cancelled, KeyboardInterrupt, SystemExit) as stop:
            self.interruption.patient = True  # a scheduler may repeat its signal while the end is written
            free_reserve()
            self._record_end(attempts, stop.status if isinstance(stop, Cancelled) else "cancelled", str(stop))
            raise
        except Exception as error:
            free_reserve()
            with suppress(OSError):
                sweep_temporary(run.path)
                diverged = isinstance(error, (Diverged, NotFinite))
                self._record_end(attempts, "failed", error_text(error), diverged)
            raise
        free_reserve()
        self._record_end(attempts, "complete", None)

    def _record_end(self, attempts: Attempts, outcome: str, reason: str | None, diverged: bool = False) -> None:
        if not self.run.config.is_file():  # the directory was removed; a few files of it would look like a run
            return
        self.run.update_run(status=outcome, error=reason, diverged=diverged)
        attempts.end(outcome, last_training_step(self.run.progress), reason or "")

    def _train_and_test(self) -> None:
        config, run = self.point.config, self.run
        self.interruption.setting_up = True
        lightning.seed_everything(config.seed, verbose=False)
        built = build_point(config, self.inputs, selection_file=SelectionFile(run.selection, self.rank.is_first))
        best = config.evaluate.checkpoint == "best"
        resume = Resume.newest_valid(run)
        if best:
            resume.warn_of_lost_best(run)
        if self.rank.is_first:
            Attempts(run.attempts).resume(resume.steps_done)
            keep_until(run.tensorboard, resume.steps_done)
        built.task.scores = dict(resume.scores)
        trainer = self._trainer(built, resume)
        if self.rank.is_first:
            self._record_data(built, trainer, starts=resume.steps_done == 0)
        reset_peak_memory(self.inputs.device)
        batches = built.task.total_steps * config.train.accumulate
        if resume.batches_done < batches and resume.stopped_early is None:
            built.data.plan_run(batches, resume.batches_done)
            path = resume.path if resume.batches_done else None
            with built.data.watched_workers():
                trainer.fit(built.task, built.data, ckpt_path=path, weights_only=True)
            resume = Resume.read(run.last)
        built.task.trained_steps = resume.steps_done
        tested = resume.best(run) if best else resume.checkpoint
        built.task.on_load_checkpoint(dict(tested))
        built.task.load_state_dict(tested["state_dict"], strict=False)
        with built.data.watched_workers():
            trainer.test(built.task, built.data, verbose=False)
        if self.rank.is_first:
            require_run_directory(run)
            self._write_results(built, trainer, resume)
            resume.keep_only(run)
        trainer.strategy.barrier("results")

    def _record_data(self, built: Built, trainer: lightning.Trainer, starts: bool) -> None:
        config = self.point.config
        if config.datasets and starts:
            say(f"{self.point.name}: {built.data.schedule}")
        for name, view in config.per_dataset.items():
            examples = self.inputs.examples(view.data, images=view.uses_image)
            record = self.inputs.data_record(view, examples, built.task.task_model.inputs.tokenizer)
            of = name if config.datasets else ""
            record_data(self.run, config, record, trainer.loggers, starts=starts, dataset=of)

    def _trainer(self, built: Built, resume: Resume) -> lightning.Trainer:
        config, run = self.point.config, self.run
        checkpoints = RunCheckpoints(
            last=run.last,
            best=run.best if config.evaluate.checkpoint == "best" else None,
            every_steps=config.train.checkpoint_every_steps,
            monitor=f"validation/{built.task.main}",
            interruption=self.interruption,
            best_score=resume.best_score,
            train_seconds=resume.train_seconds,
        )
        return make_trainer(point=self.point, run=run, built=built, checkpoints=checkpoints, rank=self.rank)

    def _write_results(self, built: Built, trainer: lightning.Trainer, resume: Resume) -> None:
        task, run, device = built.task, self.run, trainer.strategy.root_device
        train_seconds = resume.train_seconds
        write_artifact(run.artifact, task.model, built.artifact_config)
        records = write_predictions(built, run, task.scores)
        self._log_results(built, trainer.loggers, records)
        examples = built.data.examples_in(task.trained_steps)
        require_run_directory(run)
        run.update_run(
            **described_scores(built, built.content_hashes["train"]),
            weights=frozen_weights(built.artifact_config),
            device=device_name(device, trainer.world_size),
            device_kind=device_kind(device),
            precision=trainer.precision,
            trained_parameters=task.model.trainable_parameters,
            total_parameters=task.model.total_parameters,
            peak_memory_bytes=peak_memory(device),
            stopped_early=resume.stopped_early,
            wall_seconds=round(train_seconds, 3),
            samples_per_second=round(examples / max(train_seconds, 1e-9), 1),
        )

    def _log_results(self, built: Built, loggers: Sequence[Any], records: list[dict[str, Any]]) -> None:
        """Give the loggers the swept keys with the final scores, and the panel of examples, which is a file too."""
        scores = built.task.scores
        prefix = f"{built.task.final_split}/"
        tested = {name.removeprefix(prefix): value for name, value in scores.items() if name.startswith(prefix)}
        # Tags of their own: `test/…` are curves.
        depth = 1 if built.task.several else 0  # of the numbers of a whole split
        final = {f"final/{name}": value for name, value in tested.items() if name.count("/") <= depth}
        shown = None
        if count := self.point.config.evaluate.panel:
            from vlrouting.report.panel import panel  # matplotlib takes a while to import, and a run ends only once

            figure = panel(records, count)
            with atomically(self.run.panel) as temporary:
                figure.savefig(temporary, format="png", dpi=100)
            shown = (figure, self.run.panel)
        parameters = {key: str(value) for key, value in self.hyper_parameters.items()}
        for logger in loggers:
            logger.log_results(parameters=parameters, scores=final, panel=shown, step=built.task.trained_steps)
            logger.finalize("success")
            logger.close()


def frozen_weights(artifact_config: Mapping[str, Any]) -> dict[str, dict[str, str] | None]:
    """`language` and `vision` -> dtype -> fingerprint of the frozen weights; None where there is none."""
    towers = {"language": artifact_config.get("backbone"), "vision": artifact_config.get("vision")}
    return {name: ((record or {}).get("fingerprint") or {}).get("all") for name, record in towers.items()}
