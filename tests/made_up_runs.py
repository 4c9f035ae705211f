"""Run directories that nobody trained: scores of examples are given, everything else follows from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike

from vlrouting.config import ExperimentConfig
from vlrouting.config.datasets import NamedDatasetConfig
from vlrouting.experiment import RunDirectory, write_json_atomic
from vlrouting.experiment.resolve import plain

METRIC, TITLE = "test/vqa_accuracy", "VQA accuracy (official evaluation code, 2021 variant)"
SAME = {
    "code_version": "c0de000000000001",
    "data_hash": "da7a000000000001",
    "precision": "32-true",
    "device": "cpu: x86_64, 2 threads",
    "device_kind": "cpu",
    "weights": {"language": "1a", "vision": "2b"},
}
"""What made-up runs were made with, unless a test says otherwise."""


def make_run(
    experiment_runs: Path,
    point: str,
    scores: ArrayLike | None = None,
    *,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    clusters: Sequence[object] | None = None,
    further: Mapping[str, ArrayLike] | None = None,
    tuned: Mapping[str, object] | None = None,
    examples: Sequence[Mapping[str, object]] | None = None,
    **record: object,
) -> RunDirectory:
    """A run directory; complete where it has scores.

    Args:
        experiment_runs: `runs/<experiment>/`.
        point: its name, such as `routing=mul,seed=1`.
        scores: of each test example, 0 to 100; the corpus score is their mean.
        seed: of the run.
        settings: dotted keys with other values than an experiment's defaults.
        clusters: one per example. Default: two examples share an image.
        further: metrics beside the main one, such as `test/yes_no` -> scores of each example.
        tuned: the section `tuned` of its config.yaml.
        examples: fields of each line of predictions.jsonl that replace the made-up ones.
        record: fields of run.json that replace the made-up ones.
    """
    run = RunDirectory(experiment_runs / point)
    run.prepare(yaml.safe_dump(_config({"seed": seed, **(settings or {})}, tuned)))
    status = "running" if scores is None else "complete"
    measured = {"trained_parameters": 2_500, "total_parameters": 100_000, "wall_seconds": 75.4}
    measured |= {"peak_memory_bytes": 1_500_000_000, "main_metric": METRIC, "metric_variant": TITLE, "seed": seed}
    titles = {METRIC: TITLE, **{key: key.removeprefix("test/") for key in further or {}}}
    run.update_run(**{"status": status, "shown_metrics": titles, **SAME, **measured, **record})
    if scores is None:
        return run
    columns = {METRIC: np.asarray(scores, dtype=float)}
    columns |= {key: np.asarray(values, dtype=float) for key, values in (further or {}).items()}
    count = len(columns[METRIC])
    write_json_atomic(
        run.metrics, {key: float(column.mean()) for key, column in columns.items()} | {"test/examples": count}
    )
    clusters = clusters if clusters is not None else [f"image{number // 2}.png" for number in range(count)]
    lines = []
    for number in range(count):
        each = {key.removeprefix("test/"): float(column[number]) for key, column in columns.items()}
        line = _example(number, clusters[number], each, columns[METRIC][number])
        lines.append({**line, **(examples[number] if examples is not None else {})})
    run.predictions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return run


def make_variant(
    experiment_runs: Path, name: str, scores: ArrayLike, *, seeds: Sequence[int] | None = None, **options: Any
) -> None:
    """The complete points of a variant.

    Args:
        experiment_runs: `runs/<experiment>/`.
        name: such as `routing=mul`, which is its setting as well.
        scores: (S, N), a row per seed.
        seeds: of the rows. Default: 0, 1, …
        options: as `make_run` takes them.
    """
    key, _, value = name.partition("=")
    settings = {"bottleneck.routing": value} if key == "routing" else {}
    settings |= options.pop("settings", {})
    rows = np.asarray(scores, dtype=float)
    for seed, row in zip(seeds if seeds is not None else range(len(rows)), rows, strict=True):
        make_run(experiment_runs, f"{name},seed={seed}", row, seed=seed, settings=settings, **options)


DATASETS = {
    "vqa": ("vqa_accuracy", "VQA accuracy (official evaluation code, 2021 variant)"),
    "gqa": ("accuracy", "GQA accuracy"),
    "nlvr2": ("accuracy", "NLVR2 accuracy"),
    "captions": ("CIDEr", "CIDEr"),
}
"""Name -> main metric and title of the datasets of a made-up run on several."""


def make_several(
    experiment_runs: Path,
    point: str,
    scores: Mapping[str, ArrayLike],
    *,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    examples: Mapping[str, Sequence[Mapping[str, object]]] | None = None,
    tuned: Mapping[str, object] | None = None,
    **record: object,
) -> RunDirectory:
    """The run directory of a complete run on several of `DATASETS`.

    Args:
        experiment_runs: `runs/<experiment>/`.
        point: its name.
        scores: name of a dataset -> of each of its test examples. Examples of all datasets have the same ids; two share
            an image, which is the dataset's own.
        seed, settings, tuned, record: as `make_run` takes them.
        examples: name of a dataset -> as `make_run` takes them.
    """
    run = RunDirectory(experiment_runs / point)
    tree = _config({"seed": seed, **(settings or {})}, tuned)
    del tree["data"]
    tree["datasets"] = {name: plain_dataset(name) for name in scores}
    run.prepare(yaml.safe_dump(tree, sort_keys=False))
    lines: list[dict[str, object]] = []
    metrics: dict[str, float] = {}
    for name, of_dataset in scores.items():
        metric, column = DATASETS[name][0], np.asarray(of_dataset, dtype=float)
        for number, score in enumerate(column):
            line = _example(number, f"{name}{number // 2}.png", {metric: float(score)}, score)
            own = examples[name][number] if examples is not None and name in examples else {}
            lines.append({"id": number, "dataset": name, **line, **own})
        metrics |= {f"test/{name}/{metric}": float(column.mean()), f"test/{name}/examples": len(column)}
    metrics["test/mean"] = float(np.mean([metrics[f"test/{name}/{DATASETS[name][0]}"] for name in scores]))
    titles = {f"test/{name}/{DATASETS[name][0]}": f"{name}: {DATASETS[name][1]}" for name in scores}
    facts = {
        name: {"metric": DATASETS[name][0], "examples": 100, "batch_size": 4, "steps_per_epoch": 25} for name in scores
    }
    measured = {"trained_parameters": 2_500, "total_parameters": 100_000, "wall_seconds": 75.4, "seed": seed}
    main = {"main_metric": "test/mean", "metric_variant": f"mean of {len(scores)} datasets", "datasets": facts}
    shown = {"shown_metrics": {**titles, "test/mean": "mean"}}
    run.update_run(**{"status": "complete", **SAME, **measured, **main, **shown, **record})
    write_json_atomic(run.metrics, metrics)
    run.predictions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return run


def plain_dataset(name: str) -> dict[str, Any]:
    """The section of one of `DATASETS`, as a config.yaml has it."""
    named = {"vqa": "vqav2", "captions": "coco"}.get(name, name)
    task = "captioning" if name == "captions" else "vqa_generation"
    return plain(ExperimentConfig(datasets={name: NamedDatasetConfig(name=named, task=task)}))["datasets"][name]


def tuned_rate(rate: float = 0.001, edges: Sequence[str] = ()) -> tuple[dict[str, object], dict[str, object]]:
    """`settings` and `tuned` of a variant whose learning rate was chosen."""
    tuned = {"keys": ["train.lr"], "trials": ["lr=0.0003", "lr=0.001"], "trial": f"lr={rate}", "edges": list(edges)}
    return {"train.lr": rate}, {**tuned, "metric": "validation/vqa_accuracy", "score": 91.2}


def _config(settings: Mapping[str, object], tuned: Mapping[str, object] | None) -> dict[str, Any]:
    tree = plain(ExperimentConfig())
    for key, value in settings.items():
        *sections, last = key.split(".")
        section = tree
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return {**tree, "tuned": tuned and dict(tuned)}


def _example(number: int, cluster: object, scores: Mapping[str, float], score: float) -> dict[str, object]:
    truth = ("red", "blue", "yes")[number % 3]
    return {
        "id": number,
        "question": f"what is in picture {number} ?",
        "prediction": truth if score >= 50 else "green",
        "references": [truth] * 10,
        "image": f"images/{cluster}",
        "cluster": cluster,
        "score": float(score),
        "scores": dict(scores),
        "answer_type": ("other", "other", "yes/no")[number % 3],
    }
