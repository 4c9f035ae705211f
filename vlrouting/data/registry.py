"""The datasets by name. A new one adds a line to READERS and SPLITS (and a manifest), a new recipe to PREPARE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vlrouting.config import DataConfig, SplitConfig
from vlrouting.data import easy_vqa, vqav2
from vlrouting.data.example import Example

READERS: dict[str, Callable[[Path, str, SplitConfig], list[Example]]] = {"vqav2": vqav2.read_split}
"""`data.name` -> reader of one split."""
PREPARE: dict[str, Callable[[Path], None]] = {"easy_vqa": easy_vqa.prepare}
"""`data.prepare` -> function that makes the files under `data.root`, and does nothing when they are there."""
PREPARE_PROBLEMS: dict[str, Callable[[Path], list[str]]] = {"easy_vqa": easy_vqa.problems}
"""`data.prepare` -> sentences why it cannot."""
SPLITS: dict[str, dict[str, SplitConfig]] = {"vqav2": vqav2.DEFAULT_SPLITS, "easy_vqa": easy_vqa.SPLITS}
"""`data.prepare`, or else `data.name` -> splits that need no entry in `data.splits`."""


def known_splits(data: DataConfig) -> dict[str, SplitConfig]:
    """Splits that the experiment may name: those that come with the dataset, then `data.splits` over them."""
    return {**SPLITS.get(data.prepare or data.name, {}), **data.splits}


def chosen_splits(data: DataConfig) -> list[str]:
    """Names of the splits that the experiment uses, each once: train, validation, test."""
    names = (data.train, data.validation, data.test)
    return list(dict.fromkeys(name for name in names if name is not None))
