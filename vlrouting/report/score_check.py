"""Computes the numbers of a run again, from its predictions.jsonl and the section `evaluate` of its config.yaml."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from vlrouting.config import DATASETS, METRICS, TASKS, ExperimentConfig
from vlrouting.data.datasets.read import stored_split
from vlrouting.data.datasets.registry import known_splits
from vlrouting.data.example import DataError, Example, image_name
from vlrouting.experiment import RunDirectory, UserError, config_from_dict, import_plugins, require_trust
from vlrouting.experiment.safe_yaml import Unreadable, load_mapping
from vlrouting.metrics.per_example import LISTED_AS
from vlrouting.metrics.predictions_file import NUMBER, NUMBERS, TEXT, TEXTS, PredictionsError, read_records
from vlrouting.metrics.score import Score, Scores

TOLERANCE = 1e-9
"""Relative and absolute. Sums in another order differ in the last digits."""
_TYPES = {
    **dict.fromkeys(("cluster", "example_group", "image", "question", "answer_type", "question_type"), TEXT),
    "images": TEXTS,
    "score": NUMBER,
    "scores": NUMBERS,
}
"""Types of the fields that every metric's records may have."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """A number that is not what the predictions give."""

    name: str
    """`test/vqa_accuracy`, or `score of example 17`."""
    stored: object
    """None where nothing is stored."""
    recomputed: object
    """None where nothing is computed."""


@dataclass(frozen=True)
class CheckedRun:
    """What the check of one run has found."""

    point: str
    numbers: int = 0
    """Of metrics.json that were computed again."""
    examples: int = 0
    differences: tuple[Difference, ...] = ()
    not_checked: Mapping[str, str] = field(default_factory=dict)
    """Number -> why it could not be computed here."""
    problem: str = ""
    """Why nothing, or not all, could be compared: a damaged file, or a run of an older version."""

    @property
    def agrees(self) -> bool:
        """Whether everything that could be computed is as stored."""
        return not self.differences and not self.problem


class _Older(Exception):
    """The run was written by an older version; the text says what it lacks."""


def check_run(run: RunDirectory, name: str, trust_plugins: bool = False) -> CheckedRun:
    """Compute again what metrics.json has of the scored split of a complete run, and the scores of each example.

    Args:
        run: its directory.
        name: of the point.
        trust_plugins: import the plug-ins that config.yaml names, where the data set is one of theirs.
    """
    try:
        return _check(run, name, trust_plugins)
    except _Older as lacking:
        experiment = run.path.parents[1].name if run.path.parent.name == "tuning" else run.path.parent.name
        problem = f"{run.path} lacks {lacking}: an older version wrote it; run: vlrouting evaluate {experiment}"
        return CheckedRun(name, problem=problem)
    except (UserError, PredictionsError) as error:
        return CheckedRun(name, problem=str(error))


def _check(run: RunDirectory, name: str, trust_plugins: bool) -> CheckedRun:
    info = run.read_run()
    split, _, main = str(info.get("main_metric") or "").partition("/")
    if not main:
        raise _Older("the name of its main metric in run.json")
    config = _read_config(run, trust_plugins)
    metrics: dict[str, type[Score]] = {name: METRICS.load(view.metric) for name, view in config.per_dataset.items()}
    records = _read(run.predictions, config, metrics)
    stored = run.read_metrics()
    parts = []
    for dataset, view in config.per_dataset.items():
        prefix = f"{split}/{dataset}/" if config.datasets else f"{split}/"
        own = {key[len(prefix) :]: value for key, value in stored.items() if key.startswith(prefix)}
        parts.append(_check_dataset(metrics[dataset], records[dataset], view, prefix=prefix, split=split, stored=own))
    if config.datasets:
        parts.append(_check_mean([part.main for part in parts], f"{split}/{main}", stored))
    _require_stored([key for part in parts for key in part.lacking], info, split)
    return CheckedRun(
        name,
        sum(part.numbers for part in parts),
        sum(part.examples for part in parts),
        tuple(difference for part in parts for difference in part.differences),
        {key: why for part in parts for key, why in part.not_checked.items()},
    )


@dataclass(frozen=True)
class _CheckedPart:
    """Of one dataset, or of the mean over several.

    Attributes:
        lacking: keys that metrics.json does not have, although they can be computed.
        main: value of the main metric; None where it cannot be computed here.
    """

    numbers: int
    examples: int = 0
    differences: tuple[Difference, ...] = ()
    not_checked: Mapping[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    main: float | None = None


def _check_dataset(
    metric: type[Score],
    records: Sequence[Record],
    config: ExperimentConfig,
    *,
    prefix: str,
    split: str,
    stored: Mapping[str, float],
) -> _CheckedPart:
    """
    Args:
        metric: of the dataset.
        records: its predictions.
        config: the point as the dataset has it.
        prefix: of its keys in metrics.json.
        split: that was scored.
        stored: key without the prefix -> value in metrics.json.
    """
    dataset = prefix.removeprefix(f"{split}/")
    score, scores = _recompute(metric, records, config, split=split, wanted=stored.keys())
    found = {"examples": len(records), **scores.values}
    not_checked = {key: scores.not_computed[key] for key in stored if key in scores.not_computed}
    differences = [
        Difference(f"{prefix}{key}", value, found.get(key))
        for key, value in stored.items()
        if key not in not_checked and not _same(value, found.get(key))
    ]
    one_sided = scores.not_computed.keys() | (found.keys() - stored.keys())
    left_out = {LISTED_AS.get(key, key) for key in one_sided}
    of_examples = _differing_examples(records, score, scores, left_out=left_out, root=Path(config.data.root))
    whose = f" of {dataset[:-1]}" if dataset else ""
    differences += [replace(each, name=f"{each.name}{whose}") for each in of_examples]
    return _CheckedPart(
        len(stored.keys() & found.keys()),
        len(records),
        tuple(differences),
        {f"{dataset}{key}": why for key, why in not_checked.items()},
        tuple(f"{prefix}{key}" for key in found.keys() - stored.keys()),
        scores.values.get(score.main),
    )


def _check_mean(mains: Sequence[float | None], key: str, stored: Mapping[str, float]) -> _CheckedPart:
    """The mean of several datasets' main metrics."""
    known = [main for main in mains if main is not None]
    if len(known) < len(mains):
        reason = "one of the datasets' main metrics is not computed here"
        return _CheckedPart(0, not_checked={key.partition("/")[2]: reason} if key in stored else {})
    mean = fmean(known)
    if key not in stored:
        return _CheckedPart(0, lacking=(key,))
    differs = () if _same(stored[key], mean) else (Difference(key, stored[key], mean),)
    return _CheckedPart(1, differences=differs)


def _require_stored(lacking: Sequence[str], info: Mapping[str, object], split: str) -> None:
    """
    Raises:
        _Older: metrics.json lacks a number, and run.json does not say that it could not be computed.
    """
    explained = info.get("not_computed")
    names = {key.removeprefix(f"{split}/") for key in lacking}
    if unexplained := names - (explained.keys() if isinstance(explained, dict) else set()):
        raise _Older(f"{', '.join(sorted(unexplained))} in metrics.json")


def _read_config(run: RunDirectory, trust_plugins: bool) -> ExperimentConfig:
    """The datasets and the section `evaluate`, and the tasks; the others may need plug-ins that the scores do not."""
    try:
        tree = load_mapping(run.config)
        several, plugins, task = tree.get("datasets") or {}, tree.get("plugins") or [], str(tree.get("task"))
        sections = list(several.values()) if isinstance(several, dict) and several else [tree.get("data")]
        alone = all(_is_scored_alone(section, task) for section in sections if isinstance(section, dict))
        if not alone and isinstance(plugins, list):
            require_trust(list(map(str, plugins)), run.config, trust_plugins)
            import_plugins(list(map(str, plugins)))
        tree["datasets"] = {name: _with_known_task(of) for name, of in several.items()} if several else {}
        keys = ("data", "datasets", "evaluate", *(["task"] if task in TASKS else []))
        return config_from_dict({key: tree[key] for key in keys if key in tree})
    except (Unreadable, ValueError, AttributeError) as error:
        raise UserError(f"{run.config} is damaged: {error}.") from error


def _with_known_task(section: Any) -> Any:
    """A dataset's section without a task of a plug-in, where that is not needed."""
    if not isinstance(section, dict) or str(section.get("task")) in (*TASKS, "None"):
        return section
    return {key: value for key, value in section.items() if key != "task"}


def _is_scored_alone(section: Mapping[str, Any], task: str) -> bool:
    """Whether a dataset's metric is known without the plug-ins: also of a plug-in's task, where it has one metric."""
    dataset, task = section.get("name"), str(section.get("task") or task)
    if not isinstance(dataset, str):
        return True  # which is said of the configuration
    return dataset in DATASETS and (task in TASKS or len({*DATASETS.facts(dataset).tasks.values()}) == 1)


def _read(path: Path, config: ExperimentConfig, metrics: Mapping[str, type[Score]]) -> dict[str, list[Record]]:
    """The records by dataset."""
    types = {name: {**_TYPES, **metric.field_types} for name, metric in metrics.items()}
    found: dict[str, list[Record]] = {name: [] for name in metrics}

    def dataset_of(record: Mapping[str, Any]) -> str:
        return str(record.get("dataset")) if config.datasets else next(iter(metrics))

    for where, record in read_records(path, lambda record: types.get(dataset_of(record), _TYPES)):
        if dataset_of(record) not in found:
            raise PredictionsError(f"{where}: 'dataset' is none of {', '.join(found)}; run: vlrouting evaluate")
        found[dataset_of(record)].append(record)
    for records in found.values():
        if len({type(record["id"]) for record in records}) > 1:
            raise PredictionsError(
                f"{path}: some ids are integers and some are strings; give all of them the same type"
            )
    return found


def _recompute(
    metric: type[Score], records: Sequence[Record], config: ExperimentConfig, *, split: str, wanted: Set[str]
) -> tuple[Score, Scores]:
    """The score, and what it gives; with the data set where it is there and a wanted number needs it."""
    predictions = {record["id"]: record["prediction"] for record in records}
    try:
        score = metric.of_records(records, config.evaluate)
        scores = score.compute(predictions)
        if wanted & scores.not_computed.keys() & set(metric.of_data_set):
            with suppress(DataError):  # the data set is not there
                score = metric.of_records(records, config.evaluate, lambda: _read_split(config, split))
                scores = score.compute(predictions)
    except KeyError as error:
        raise _Older(f"{error} in predictions.jsonl") from None
    except ValueError as error:
        raise UserError(f"the predictions cannot be scored: {error}") from error
    return score, scores


def _read_split(config: ExperimentConfig, split: str) -> Sequence[Example]:
    """`validation` or `test` of the data set as it lies there; nothing is made.

    Raises:
        DataError: files are missing or invalid.
    """
    name, data = getattr(config.data, split), config.data
    known = known_splits(data)
    if name not in known:
        raise DataError(f"the split '{name}' is not known")
    return stored_split(data, name)


def _differing_examples(
    records: Sequence[Record], score: Score, scores: Scores, *, left_out: Set[str], root: Path
) -> Iterator[Difference]:
    """Clusters and scores of examples that are not what is computed; the scores `left_out` are not compared."""
    of_examples = {name: of for name, of in scores.per_example.items() if name not in left_out}
    examples = {example.id: example for example in score.examples}
    if of_examples and not any("scores" in record for record in records):
        raise _Older("the scores of examples in predictions.jsonl")
    for record in records:
        identity = record["id"]
        images = [record["image"]] if "image" in record else record.get("images", [])
        computed: dict[str, object] = {name: of[identity] for name, of in of_examples.items() if identity in of}
        stored = {name: value for name, value in record.get("scores", {}).items() if name not in left_out}
        if score.main not in left_out:
            stored["score"], computed["score"] = record.get("score"), computed.get(score.main)
        stored["cluster"] = record.get("cluster")
        computed["cluster"] = score.cluster(examples[identity], [image_name(Path(image), root) for image in images])
        for name in dict.fromkeys([*stored, *computed]):
            if not _same(stored.get(name), computed.get(name)):
                yield Difference(f"{name} of example {identity}", stored.get(name), computed.get(name))


def _same(stored: Any, computed: Any) -> bool:
    if isinstance(stored, list) and isinstance(computed, list):
        return len(stored) == len(computed) and all(map(_same, stored, computed))
    if isinstance(stored, (int, float)) and isinstance(computed, (int, float)):
        return math.isclose(stored, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(stored == computed)
