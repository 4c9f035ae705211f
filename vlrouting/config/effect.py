"""Which settings change nothing beside which others, so that whoever writes one down learns of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.data import DATASETS
from vlrouting.config.experiment import SINGLE, ExperimentConfig
from vlrouting.config.tasks import TASKS


@dataclass(frozen=True)
class IdleRule:
    """Keys, and when they have no effect."""

    patterns: tuple[str, ...]
    """Dotted keys; `*` stands for anything."""
    is_idle: Callable[[ExperimentConfig, str], bool]
    """Whether a key has no effect in a configuration."""
    reason: str
    decided_by: tuple[str, ...]
    """Keys that the rule asks about; one that begins with a dot is of the same section, and `*` stands for anything."""

    def is_about(self, key: str) -> bool:
        """Whether it says something on a key."""
        return any(fnmatchcase(key, pattern) for pattern in self.patterns)


def _bottleneck(config: ExperimentConfig, key: str) -> BottleneckConfig:
    first, second = key.split(".")[:2]
    return config.bottleneck if first == SINGLE else config.bottlenecks[second]


def _is_local(name: str) -> bool:
    return name.startswith("package:") or Path(name).is_dir()


def _caches(config: ExperimentConfig) -> bool:
    return config.vision.cache and config.uses_image and not config.trains_vision


def _dataset(config: ExperimentConfig, key: str) -> ExperimentConfig:
    """The point as the dataset has it that a key is of: `datasets.NAME.answers`, or `data.answers`."""
    first, _, rest = key.partition(".")
    return config.per_dataset[rest.partition(".")[0]] if first == "datasets" else config


def _metrics(config: ExperimentConfig) -> set[str]:
    return {view.metric for view in config.per_dataset.values()}


def _of_data(*keys: str) -> tuple[str, ...]:
    """The keys in both forms of the section."""
    return tuple(f"{section}.{key}" for section in ("data", "datasets.*") for key in keys)


IDLE_RULES = (
    IdleRule(
        (
            "model.label_smoothing",
            "generate.*",
            "datasets.*.generate.*",
            *_of_data("max_target_tokens", "sample_answers"),
        ),
        lambda config, key: not _dataset(config, key).generates,
        "the task generates no text",
        ("task", ".task", "datasets.*.task"),
    ),
    IdleRule(
        ("generate.*",),
        lambda config, _: bool(config.datasets) and all(each.generate for each in config.datasets.values()),
        "every dataset has a section of its own",
        ("datasets.*.generate.*",),
    ),
    IdleRule(
        ("train.batch_size",),
        lambda config, _: bool(config.datasets) and all(each.batch_size for each in config.datasets.values()),
        "every dataset has a batch size of its own",
        ("datasets.*.batch_size",),
    ),
    IdleRule(
        ("task",),
        lambda config, _: bool(config.datasets) and all(each.task for each in config.datasets.values()),
        "every dataset has a task of its own",
        ("datasets.*.task",),
    ),
    IdleRule(
        _of_data("sample_answers"),
        lambda config, key: TASKS.facts(_dataset(config, key).task).command == "caption",
        "every caption is a target by itself",
        ("task", ".task", "datasets.*.task"),
    ),
    IdleRule(
        _of_data("answers", "min_answer_count"),
        lambda config, key: _dataset(config, key).generates,
        "the task generates its answers, without a vocabulary",
        ("task", ".task", "datasets.*.task"),
    ),
    IdleRule(
        _of_data("min_answer_count"),
        lambda config, key: _dataset(config, key).data.answers is not None,
        "data.answers gives the vocabulary",
        (".answers",),
    ),
    IdleRule(
        ("evaluate.vqa_variant",),
        lambda config, _: _metrics(config) <= {"captions", "gqa", "nlvr2", "answers"},
        "the dataset is not scored with the VQA accuracy of ten answers",
        ("data.name", "task", "datasets.*.name", "datasets.*.task"),
    ),
    IdleRule(
        ("evaluate.spice",),
        lambda config, _: _metrics(config) <= {"vqa", "gqa", "nlvr2", "answers"},
        "the dataset has no captions",
        ("data.name", "task", "datasets.*.name", "datasets.*.task"),
    ),
    IdleRule(
        _of_data("target", "split_seed", "split_shares.*"),
        lambda config, key: not DATASETS.facts(_dataset(config, key).data.name).is_table,
        "it is for a table of your own (data.name: jsonl)",
        ("data.name", ".name"),
    ),
    IdleRule(
        ("train.momentum",), lambda config, _: config.train.optimizer != "sgd", "adamw has none", ("train.optimizer",)
    ),
    IdleRule(
        ("train.beta2", "train.eps"),
        lambda config, _: config.train.optimizer != "adamw",
        "it is for adamw",
        ("train.optimizer",),
    ),
    IdleRule(
        ("vision.cache_dir",),
        lambda config, _: not _caches(config),
        "the features are not cached",
        ("vision.cache", "model.visual_input"),
    ),
    IdleRule(
        ("language.revision",),
        lambda config, _: _is_local(config.language.name),
        "language.name is on this machine, not on a hub",
        ("language.name",),
    ),
    IdleRule(
        tuple(f"{section}.{key}" for section in (SINGLE, "bottlenecks.*") for key in ("targets", "layers", "tower")),
        lambda config, key: not _bottleneck(config, key).attaches,
        "this kind attaches nothing",
        (".kind",),
    ),
    IdleRule(
        (f"{SINGLE}.shared_down", "bottlenecks.*.shared_down"),
        lambda config, key: not _bottleneck(config, key).routed,
        "without a routing function no image goes through the bottleneck",
        (".routing",),
    ),
)
