"""Which settings change nothing beside which others, so that whoever writes one down learns of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vlrouting.config.bottleneck import BottleneckConfig
from vlrouting.config.data import DATASETS
from vlrouting.config.experiment import SINGLE, ExperimentConfig


@dataclass(frozen=True)
class IdleRule:
    """Keys, and when they have no effect."""

    patterns: tuple[str, ...]
    """Dotted keys; `*` stands for anything."""
    is_idle: Callable[[ExperimentConfig, str], bool]
    """Whether a key has no effect in a configuration."""
    reason: str
    decided_by: tuple[str, ...]
    """Keys that the rule asks about; one that begins with a dot is of the same section."""

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


IDLE_RULES = (
    IdleRule(
        ("generate.*", "data.max_target_tokens"),
        lambda config, _: not config.generates,
        "the task generates no text",
        ("task",),
    ),
    IdleRule(
        ("data.answers", "data.min_answer_count"),
        lambda config, _: config.generates,
        "the task generates its answers, without a vocabulary",
        ("task",),
    ),
    IdleRule(
        ("data.min_answer_count",),
        lambda config, _: config.data.answers is not None,
        "data.answers gives the vocabulary",
        ("data.answers",),
    ),
    IdleRule(
        ("evaluate.vqa_variant",),
        lambda config, _: config.metric in ("captions", "gqa", "nlvr2", "answers"),
        "the dataset is not scored with the VQA accuracy of ten answers",
        ("data.name", "task"),
    ),
    IdleRule(
        ("evaluate.spice",),
        lambda config, _: config.metric in ("vqa", "gqa", "nlvr2", "answers"),
        "the dataset has no captions",
        ("data.name", "task"),
    ),
    IdleRule(
        ("data.target", "data.split_seed", "data.split_shares.*"),
        lambda config, _: not DATASETS.facts(config.data.name).is_table,
        "it is for a table of your own (data.name: jsonl)",
        ("data.name",),
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
