"""Scores of single test examples, from predictions.jsonl."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlrouting.experiment.errors import UserError
from vlrouting.metrics.per_example import scored, statistic, values
from vlrouting.report.rows import Row
from vlrouting.statistics import Statistic

Record = Mapping[str, Any]


@dataclass(frozen=True)
class MetricScores:
    """A metric of the examples that it is of: of one of several datasets, those of that dataset.

    Attributes:
        values: (N,) or (N, K).
        clusters: label of each example's cluster.
        statistic: makes the metric of the sums over the examples; None where it is their mean.
    """

    values: NDArray[np.float64]
    clusters: tuple[str, ...]
    statistic: Statistic | None = None


@dataclass(frozen=True)
class ExampleScores:
    """Of one run.

    Attributes:
        ids: of the test examples; with several datasets (dataset, id).
        clusters: label of each example's cluster; with several datasets see `joint_clusters`.
        metrics: key, such as `test/vqa_accuracy` -> its scores.
    """

    ids: tuple[object, ...]
    clusters: tuple[str, ...]
    metrics: dict[str, MetricScores]


def read_example_scores(row: Row, metrics: Iterable[str]) -> ExampleScores:
    """The scores of a complete run; a metric that the examples have no scores of is left out.

    Raises:
        UserError: predictions.jsonl is missing or damaged, or has no clusters or scores of examples.
    """
    assert row.folder is not None
    path = row.folder / "predictions.jsonl"
    remedy = f"vlrouting evaluate {row.experiment} writes them"
    records = scored(_records(path, remedy))
    if any("cluster" not in record for record in records):
        raise UserError(f"{path} has no scores of single examples; {remedy}.")
    mains = dict(sorted(row.datasets.items())) or {"": row.main_metric}
    parts = {name: [record for record in records if record.get("dataset", "") == name] for name in mains}
    found: dict[str, MetricScores] = {}
    for metric in dict.fromkeys([*metrics, *row.datasets.values()]):
        dataset = _dataset_of(metric, row.datasets)
        if dataset is None:
            continue
        try:
            of_metric = _scores(parts[dataset], metric, dataset, is_old=metric == row.main_metric)
        except (TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: a score of {metric} is no number; {remedy}.") from error
        if of_metric is not None:
            found[metric] = of_metric
    if not found:
        raise UserError(f"{path} has no scores of single examples; {remedy}.")
    if not row.datasets:
        return ExampleScores(tuple(r["id"] for r in records), tuple(str(r["cluster"]) for r in records), found)
    joint = {name: joint_clusters(name, part) for name, part in parts.items()}
    if all(key in found for key in mains.values()):
        found[row.main_metric] = mean_of_datasets([found[mains[name]] for name in mains], list(joint.values()))
    ids = tuple((name, record["id"]) for name, part in parts.items() for record in part)
    return ExampleScores(ids, tuple(label for labels in joint.values() for label in labels), found)


def _dataset_of(metric: str, datasets: Mapping[str, str]) -> str | None:
    """The dataset that a metric is of: `vqa` for `test/vqa/yes_no`; empty where there is one; None for their mean."""
    if not datasets:
        return ""
    name = metric.partition("/")[2].partition("/")[0]
    return name if name in datasets else None


def _scores(records: Sequence[Record], metric: str, dataset: str, *, is_old: bool) -> MetricScores | None:
    """None where the examples have no scores of the metric. The main one of a run of an older version is `score`."""
    name = metric.split("/", 2)[2] if dataset else metric
    array = values(records, name)
    if array is None and is_old and records:
        array = np.array([record["score"] for record in records], dtype=np.float64)
    if array is None or not np.isfinite(array).all() or (array.ndim > 1 and statistic(name) is None):
        return None
    clusters = tuple(str(record["cluster"]) for record in records)
    return MetricScores(array, clusters, statistic(name) if array.ndim > 1 else None)


def joint_clusters(dataset: str, records: Iterable[Record]) -> tuple[str, ...]:
    """Clusters of examples that several datasets may share: an image that is a cluster of its own is the same one in
    each of them, by its path; any other cluster belongs to its dataset."""
    records = list(records)
    images: dict[str, set[tuple[str, ...]]] = {}
    for record in records:
        paths = record.get("images") or ([record["image"]] if record.get("image") else [])
        images.setdefault(str(record["cluster"]), set()).add(tuple(map(os.path.normpath, paths)))
    labels = {cluster: f"{dataset}: {cluster}" for cluster in images}
    for cluster, (first, *others) in images.items():
        if len(first) == 1 and not others:
            labels[cluster] = first[0]
    return tuple(labels[str(record["cluster"])] for record in records)


def mean_of_datasets(parts: Sequence[MetricScores], clusters: Sequence[Sequence[str]]) -> MetricScores:
    """The mean over datasets of a metric of each: every dataset counts the same, however many examples it has.

    An example of dataset d counts 1 / (D N_d) of the mean of D datasets. N_d is the number of examples that a drawn
    test set has of it, so that a dataset's score does not depend on how often the others' examples are drawn: to first
    order the variance is that of a bootstrap within each dataset, and clusters that datasets share are drawn together.

    Args:
        parts: of each dataset.
        clusters: of each dataset, as `joint_clusters` labels them.
    """
    with_count = [_summed(part.values) for part in parts]
    ends = np.cumsum([block.shape[1] for block in with_count])
    columns = [slice(end - block.shape[1], end) for block, end in zip(with_count, ends, strict=True)]
    stacked = np.zeros((sum(map(len, with_count)), ends[-1]))
    start = 0
    for block, column in zip(with_count, columns, strict=True):
        stacked[start : start + len(block), column] = block
        start += len(block)
    statistics = [part.statistic or _mean for part in parts]

    def mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        scores = [of(sums[..., column]) for of, column in zip(statistics, columns, strict=True)]
        found: NDArray[np.float64] = np.mean(scores, axis=0)
        return found

    return MetricScores(stacked, tuple(label for labels in clusters for label in labels), mean)


def _summed(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, K): what is summed over the examples."""
    return scores if scores.ndim > 1 else np.stack([scores, np.ones_like(scores)], axis=-1)


def _mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # none of the dataset's examples is drawn
        found: NDArray[np.float64] = sums[..., 0] / sums[..., 1]
    return found


def _records(path: Path, remedy: str) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # a text may have other line breaks
        records = [json.loads(line) for line in lines if line.strip()]
        if all(isinstance(record, dict) and "id" in record for record in records) and records:
            return sorted(records, key=lambda record: str(record["id"]))
        raise UserError(f"{path} is damaged: a line is no record with an id; {remedy}.")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {remedy}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}; {remedy}.") from error
