"""What a run directory says of a test: predictions, the files for evaluation servers, scores and what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vlrouting.config.names import counted
from vlrouting.experiment import RunDirectory, write_json_atomic, write_text_atomic
from vlrouting.tasks.scored import MEAN, missing_from_mean
from vlrouting.training.assembly import Built


def write_predictions(built: Built, run: RunDirectory, scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """Write predictions.jsonl, the evaluation servers' files and metrics.json; returns the records."""
    names, several, split = list(built.test_scores), built.task.several, built.task.final_split
    of_dataset: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for record in built.task.predictions:
        of_dataset[record.get("dataset", names[0])].append(record)
    counts = {}
    for name, score in built.test_scores.items():
        of_dataset[name].sort(key=lambda record: record["id"])
        predictions = {record["id"]: record["prediction"] for record in of_dataset[name]}
        file = f"{name}_{score.results_file}" if several else score.results_file
        score.write_results(run.path / file, predictions)
        counts[f"{split}/{name}/examples" if several else f"{split}/examples"] = len(predictions)
    records = [record for name in names for record in of_dataset[name]]
    write_text_atomic(run.predictions, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    write_json_atomic(run.metrics, {**scores, **counts})
    return records


def described_scores(built: Built, training_data: str | None) -> dict[str, Any]:
    """Fields of run.json: the main metric, the metrics of a table, what could not be computed, and the data's digest.

    Args:
        built: after a test.
        training_data: digest of the examples that the point was trained on; None where it is not known.
    """
    split, several = built.task.final_split, built.task.several
    shown: dict[str, str] = {}
    not_computed: dict[str, str] = {}
    for name, score in built.test_scores.items():
        tested, key = built.task.tested[name], f"{name}/" if several else ""
        scored, whole = len(score.examples), built.test_split_sizes[name]
        part = "" if scored == whole else f", {scored:,} of {whole:,} examples"
        title = f"{name}: " if several else ""
        shown |= {f"{split}/{key}{each}": f"{title}{text}{part}" for each, text in score.titles(tested).items()}
        not_computed |= {f"{key}{each}": why for each, why in tested.not_computed.items()}
    main = f"{split}/{built.task.main}"
    facts: dict[str, Any] = {}
    if several:
        lacking = missing_from_mean(built.task.task_models, built.test_scores, built.task.tested)
        if lacking:
            not_computed[MEAN] = "; ".join(f"{name}: {why}" for name, why in lacking.items())
        shown[main] = MEAN
        facts = {"datasets": described_datasets(built)}
    return {
        "main_metric": main,
        "metric_variant": f"mean of {counted(len(built.test_scores), 'dataset')}" if several else shown.get(main, main),
        "data_hash": None if training_data is None else f"{training_data}{built.content_hashes['test']}",
        "shown_metrics": shown,
        "not_computed": not_computed,
        **facts,
    }


def described_datasets(built: Built) -> dict[str, dict[str, Any]]:
    """Of each of several datasets: its main metric, its training examples, and its batches."""
    return {
        name: {
            "metric": built.test_scores[name].main,
            "examples": len(source.training_examples),
            "batch_size": source.batch_size,
            "steps_per_epoch": source.steps_per_epoch,
        }
        for name, source in built.data.sources.items()
    }
