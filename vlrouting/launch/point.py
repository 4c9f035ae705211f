"""One point from its configuration to a complete run directory; started again, it goes on where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
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
from vlrouting.launch.build import Built, build_point
from vlrouting.launch.checkpoints import BATCHES_DONE, SCORES, RunCheckpoints, read_checkpoint
from vlrouting.launch.inputs import SharedInputs
from vlrouting.launch.interruption import Cancelled, Interruption
from vlrouting.launch.measure import device_name, peak_memory, reset_peak_memory
from vlrouting.launch.trainer import make_trainer
from vlrouting.report.panel import panel


def run_point(
    point: Point,
    run: RunDirectory,
    inputs: SharedInputs,
    interruption: Interruption,
    hyper_parameters: Mapping[str, Any],
) -> None:
    """Train, evaluate and write everything of one point.

    Args:
        point: what to run.
        run: its directory; a run that was cut off there is resumed.
        inputs: shared by the points of the sweep.
        interruption: what the user asked for meanwhile.
        hyper_parameters: the keys that differ over the sweep, for TensorBoard's HPARAMS.

    Raises:
        Cancelled: stopped by a signal; the directory's status is `cancelled`.
        UserError, DataError, BackboneError: a mistake that the user can mend; the status is `failed`.
    """
    with run.lock():
        run.prepare(to_yaml(point.config))
        run.update_run(status="running", error=None, seed=point.config.seed, **environment())
        try:
            _train_and_test(point, run, inputs, interruption, hyper_parameters)
        except (Cancelled, KeyboardInterrupt, SystemExit) as stop:
            run.update_run(status="cancelled", error=str(stop))
            raise
        except Exception as error:
            with suppress(OSError):  # a full disk takes no note either
                run.update_run(status="failed", error=f"{type(error).__name__}: {error}")
            raise


def _train_and_test(
    point: Point,
    run: RunDirectory,
    inputs: SharedInputs,
    interruption: Interruption,
    hyper_parameters: Mapping[str, Any],
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
    done = _resume(built, run)
    steps = built.task.total_steps
    trainer = make_trainer(
        config, run, steps, len(built.data.train_sampler), checkpoints, done // config.train.accumulate, point.name
    )
    if done < steps * config.train.accumulate:
        trainer.fit(built.task, built.data, ckpt_path=run.last if done else None, weights_only=True)
    train_seconds = _restore(built, run, config.evaluate.checkpoint)
    trainer.test(built.task, built.data, verbose=False)
    write_artifact(run.artifact, built.task.model, built.artifact_config)
    records = write_predictions(built, run, built.task.scores)
    _log_to_tensorboard(built, run, trainer, records, hyper_parameters)
    examples = steps * config.train.accumulate * config.train.batch_size * trainer.world_size
    run.update_run(
        status="complete",
        **described_scores(built),
        device=device_name(trainer.strategy.root_device),
        trained_parameters=built.task.model.trained_parameters,
        total_parameters=built.task.model.total_parameters,
        peak_memory_bytes=peak_memory(trainer.strategy.root_device),
        wall_seconds=round(train_seconds, 3),
        samples_per_second=round(examples / max(train_seconds, 1e-9), 1),
    )


def _resume(built: Built, run: RunDirectory) -> int:
    """Batches that an earlier attempt has done, from which the data go on."""
    if not run.last.is_file():
        return 0
    done = int(read_checkpoint(run.last)[BATCHES_DONE])
    built.data.plan_run(built.data.run_batches, done)
    return done


def _restore(built: Built, run: RunDirectory, which: str) -> float:
    """Load the weights that are to be tested and the last validation's scores; return the seconds of training."""
    last = read_checkpoint(run.last)
    built.task.scores = dict(last[SCORES])
    chosen = read_checkpoint(run.best) if which == "best" and run.best.is_file() else last
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
    scored, whole = len(built.test_score.examples), built.test_split_size
    part = "" if scored == whole else f", {scored:,} of {whole:,} examples"
    return {
        "main_metric": f"test/{built.test_score.main}",
        "shown_metrics": {f"test/{key}": f"{title}{part}" for key, title in built.test_score.titles().items()},
        "not_computed": built.task.not_computed,
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
    final = {name.replace("test/", "final/"): value for name, value in scores.items() if name.count("/") == 1}
    logger.log_hyperparams({key: str(value) for key, value in hyper_parameters.items()}, final)
    count = built.artifact_config["experiment"]["evaluate"]["panel"]
    if count:
        figure = panel(records, count)
        with atomically(run.panel) as temporary:
            figure.savefig(temporary, format="png", dpi=100)
        logger.experiment.add_figure("test/panel", figure, global_step=built.task.total_steps)
    logger.finalize("success")
