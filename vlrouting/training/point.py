"""One point from its configuration to a complete run directory; started again, it goes on where it was cut off."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import lightning

from vlrouting.bottleneck.artifact import write_artifact
from vlrouting.experiment import (
    Point,
    RunDirectory,
    atomically,
    environment,
    to_yaml,
    write_json_atomic,
    write_text_atomic,
)
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.progress import Progress, read_progress, write_progress
from vlrouting.report.panel import panel
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.checkpoints import (
    BATCHES_DONE,
    SCORES,
    RunCheckpoints,
    keep_one,
    newest_sound,
    read_best,
    read_checkpoint,
    warn_of_lost_best,
)
from vlrouting.training.device import device_name, peak_memory, reset_peak_memory
from vlrouting.training.event_files import keep_until
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled, Interruption
from vlrouting.training.process_rank import ALONE, Place, scheduler_job
from vlrouting.training.strategy import make_strategy
from vlrouting.training.trainer import make_trainer
from vlrouting.training.user_errors import USER_MISTAKES


def run_point(
    point: Point,
    run: RunDirectory,
    inputs: SharedInputs,
    interruption: Interruption,
    hyper_parameters: Mapping[str, Any],
    place: Place = ALONE,
) -> None:
    """Train, evaluate and write everything of one point, as one process of the group that does so together.

    Args:
        point: what to run.
        run: its directory; a run that was cut off there is resumed.
        inputs: shared by the points of the sweep.
        interruption: what the user asked for meanwhile.
        hyper_parameters: the keys that differ over the sweep, for TensorBoard's HPARAMS.
        place: where this process stands in the group; the first one writes.

    Raises:
        Cancelled: stopped by a signal; the directory's status is `cancelled`, or `preempted`.
        UserError, DataError, BackboneError: a mistake that the user can mend; the status is `failed`.
    """
    with _recorded(point, run, interruption, hyper_parameters, place) if place.first else nullcontext():
        _train_and_test(point, run, inputs, interruption, hyper_parameters, place)


@contextmanager
def _recorded(
    point: Point, run: RunDirectory, interruption: Interruption, hyper_parameters: Mapping[str, Any], place: Place
) -> Iterator[None]:
    """Hold the directory, and note in it how the attempt begins and ends."""
    attempts = Attempts(run.attempts)
    with run.lock():
        run.prepare(to_yaml(point.config))
        made = {"seed": point.config.seed, "swept": dict(hyper_parameters), **environment()}
        run.update_run(status="running", error=None, **made)
        write_progress(run.progress, Progress("preparing", updated=time.time()))
        attempts.begin(socket.gethostname(), scheduler_job(), place.group or None)
        try:
            yield
        except (Cancelled, KeyboardInterrupt, SystemExit) as stop:
            interruption.patient = True  # a scheduler that repeats itself is not to cut off what is written now
            outcome = stop.status if isinstance(stop, Cancelled) else "cancelled"
            _ended(run, attempts, outcome, str(stop))
            raise
        except Exception as error:
            with suppress(OSError):  # a full disk takes no note either
                mistake = isinstance(error, USER_MISTAKES)
                _ended(run, attempts, "failed", str(error) if mistake else f"{type(error).__name__}: {error}")
            raise
        _ended(run, attempts, "complete", None)


def _ended(run: RunDirectory, attempts: Attempts, outcome: str, reason: str | None) -> None:
    progress = read_progress(run.progress)
    run.update_run(status=outcome, error=reason)
    trained = progress.step if progress is not None and progress.phase == "training" else None
    attempts.end(outcome, trained, reason or "")


def _train_and_test(
    point: Point,
    run: RunDirectory,
    inputs: SharedInputs,
    interruption: Interruption,
    hyper_parameters: Mapping[str, Any],
    place: Place,
) -> None:
    config = point.config
    reset_peak_memory()
    lightning.seed_everything(config.seed, verbose=False)
    built = build_point(config, inputs)
    checkpoints = RunCheckpoints(
        run.last,
        run.best if config.evaluate.checkpoint == "best" else None,
        config.train.checkpoint_every_steps,
        f"validation/{built.test_score.main}",
        interruption,
    )
    path, last = newest_sound(run) or (run.last, {})
    done = _resume(built, run, last, config.evaluate.checkpoint)
    steps, accumulate = built.task.total_steps, config.train.accumulate
    if place.first:
        Attempts(run.attempts).resume(done // accumulate)
        keep_until(run.tensorboard, done // accumulate)
    strategy = make_strategy(config.train, place, built.task)
    per_epoch = built.data.steps_per_epoch * accumulate
    trainer = make_trainer(config, run, steps, per_epoch, checkpoints, place, strategy, point.name)
    if done < steps * accumulate:
        trainer.fit(built.task, built.data, ckpt_path=path if done else None, weights_only=True)
        path, last = run.last, read_checkpoint(run.last)
    train_seconds = _restore(built, run, last, config.evaluate.checkpoint)
    trainer.test(built.task, built.data, verbose=False)
    if place.first:
        _write_results(built, run, trainer, train_seconds, hyper_parameters)
        keep_one(run, path)
    trainer.strategy.barrier("results")


def _write_results(
    built: Built,
    run: RunDirectory,
    trainer: lightning.Trainer,
    train_seconds: float,
    hyper_parameters: Mapping[str, Any],
) -> None:
    write_artifact(run.artifact, built.task.model, built.artifact_config)
    records = write_predictions(built, run, built.task.scores)
    _log_to_tensorboard(built, run, trainer, records, hyper_parameters)
    examples = built.task.total_steps * built.task.config.batch_size
    run.update_run(
        **described_scores(built),
        device=device_name(trainer.strategy.root_device, trainer.world_size),
        precision=trainer.precision,
        trained_parameters=built.task.model.trainable_parameters,
        total_parameters=built.task.model.total_parameters,
        peak_memory_bytes=peak_memory(trainer.strategy.root_device),
        wall_seconds=round(train_seconds, 3),
        samples_per_second=round(examples / max(train_seconds, 1e-9), 1),
    )


def _resume(built: Built, run: RunDirectory, last: dict[str, Any], which: str) -> int:
    """Batches that an earlier attempt has done, from which the data go on."""
    if not last:
        return 0
    if which == "best":
        warn_of_lost_best(run, last)
    done = int(last[BATCHES_DONE])
    built.data.plan_run(built.data.run_batches, done)
    return done


def _restore(built: Built, run: RunDirectory, last: dict[str, Any], which: str) -> float:
    """Load the weights that are to be tested and the last validation's scores; return the seconds of training."""
    built.task.scores = dict(last[SCORES])
    chosen = read_best(run, last) if which == "best" else last
    built.task.on_load_checkpoint(chosen)
    built.task.load_state_dict(chosen["state_dict"], strict=False)
    return float(last["callbacks"]["RunCheckpoints"]["train_seconds"])


def write_predictions(built: Built, run: RunDirectory, scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """Write predictions.jsonl, the evaluation server's file and metrics.json; returns the records."""
    records = sorted(built.task.predictions, key=lambda record: record["id"])
    write_text_atomic(run.predictions, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    predictions = {record["id"]: record["prediction"] for record in records}
    built.test_score.write_results(run.path / built.test_score.results_file, predictions)
    write_json_atomic(run.metrics, {**scores, "test/examples": len(records)})
    return records


def described_scores(built: Built) -> dict[str, Any]:
    """What run.json says of the scores: which one counts, what a table shows, what could not be computed."""
    tested, score = built.task.tested, built.test_score
    assert tested is not None
    scored, whole = len(score.examples), built.test_split_size
    part = "" if scored == whole else f", {scored:,} of {whole:,} examples"
    return {
        "main_metric": f"test/{score.main}",
        "shown_metrics": {f"test/{key}": f"{title}{part}" for key, title in score.titles(tested).items()},
        "not_computed": tested.not_computed,
    }


def _log_to_tensorboard(
    built: Built,
    run: RunDirectory,
    trainer: lightning.Trainer,
    records: list[dict[str, Any]],
    hyper_parameters: Mapping[str, Any],
) -> None:
    logger: Any = trainer.logger
    # Tags of their own: those of the test are curves already.
    scores = built.task.scores
    tested = {name.removeprefix("test/"): value for name, value in scores.items() if name.startswith("test/")}
    final = {f"final/{name}": value for name, value in tested.items() if "/" not in name}
    logger.log_hyperparams({key: str(value) for key, value in hyper_parameters.items()}, final)
    count = built.artifact_config["experiment"]["evaluate"]["panel"]
    if count:
        figure = panel(records, count)
        with atomically(run.panel) as temporary:
            figure.savefig(temporary, format="png", dpi=100)
        logger.experiment.add_figure("test/panel", figure, global_step=built.task.total_steps)
    logger.finalize("success")
