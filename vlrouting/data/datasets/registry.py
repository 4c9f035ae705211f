"""The datasets and recipes by name. A plugin adds a dataset by `register_dataset`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from vlrouting.config import DATASETS, TASKS, DataConfig, SplitConfig
from vlrouting.data.datasets import coco, gqa, nlvr2, vqav2
from vlrouting.data.example import Example

if TYPE_CHECKING:
    from vlrouting.metrics.score import Score


@dataclass(frozen=True)
class DatasetFormat:
    """What is known of one dataset's official files. Paths are below the data root, keys those of the configuration."""

    read_split: Callable[[Path, str, SplitConfig], Sequence[Example]]
    """Root, name of the split, its files -> its examples, checked. Raises DataError."""
    splits: Mapping[str, SplitConfig]
    """Splits that need no entry in `data.splits`: those of the official file names."""
    split_files: Callable[[str, SplitConfig], dict[str, str]]
    """Name of the split, its files -> path of each -> key. Raises DataError when the split names none."""
    image_folders: Callable[[Path, str, SplitConfig], dict[str, str]]
    """Root, name of the split, its files -> path of each folder of images -> key. Raises DataError for a template."""
    normalize_answer: Callable[[str], str] = str
    """An answer -> what stands for it in a vocabulary that is built. Default: the answer itself."""
    images: int = 1
    """How many an example has."""


class Recipe(Protocol):
    """A module that makes the files of one or several datasets. It is imported only when an experiment asks for it."""

    SPLITS: Mapping[str, Mapping[str, SplitConfig]]
    """`data.name` -> splits that are made."""

    def prepare(self, root: Path, /) -> None:
        """Make the files under `root`; does nothing when they are there. Raises DataError."""

    def problems(self, root: Path, /) -> list[str]:
        """Sentences why the files are not there and cannot be made either; empty when all is well."""


FORMATS: dict[str, DatasetFormat] = {
    "vqav2": DatasetFormat(
        vqav2.read_split, vqav2.DEFAULT_SPLITS, vqav2.split_files, vqav2.image_folders, vqav2.normalize_answer
    ),
    "coco": DatasetFormat(coco.read_split, coco.DEFAULT_SPLITS, coco.split_files, coco.image_folders),
    "gqa": DatasetFormat(gqa.read_split, gqa.DEFAULT_SPLITS, gqa.split_files, gqa.image_folders),
    "nlvr2": DatasetFormat(nlvr2.read_split, nlvr2.DEFAULT_SPLITS, nlvr2.split_files, nlvr2.image_folders, images=2),
}
"""`data.name` -> format."""
RECIPES: dict[str, str] = {"easy_vqa": "vlrouting.data.datasets.easy_vqa", "shapes": "vlrouting.shapes"}
"""`data.prepare` -> module, a `Recipe`."""


def register_dataset(name: str, dataset: DatasetFormat, score: type[Score], tasks: Sequence[str]) -> None:
    """Make `data.name: name` available. A module that calls this is named under an experiment's `plugins`.

    Args:
        name: of the dataset.
        dataset: its files.
        score: how its predictions are scored.
        tasks: what it can be used for: names that `task` may have.

    Raises:
        ValueError: the name is taken, or a task is not known.
    """
    from vlrouting.metrics.registry import SCORES  # needs torch, which checking an experiment does without

    taken = SCORES.get(name)
    # A notebook cell that is run again registers the same dataset anew: that is no clash.
    if taken is not None and (taken.__module__, taken.__qualname__) != (score.__module__, score.__qualname__):
        raise ValueError(f"the dataset '{name}' is already registered, with {taken.__module__}.{taken.__qualname__}")
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise ValueError(f"the dataset '{name}': '{unknown[0]}' is no task; known: {', '.join(TASKS)}")
    DATASETS[name], FORMATS[name], SCORES[name] = tuple(tasks), dataset, score


def recipe_of(data: DataConfig) -> Recipe | None:
    """The recipe of `data.prepare`; None where there is none, or none of that name."""
    module = RECIPES.get(data.prepare or "")
    return cast(Recipe, importlib.import_module(module)) if module is not None else None


def known_splits(data: DataConfig) -> dict[str, SplitConfig]:
    """Splits that the experiment may name: those that come with dataset or recipe, then `data.splits` over them."""
    recipe = recipe_of(data)
    given = FORMATS[data.name].splits if recipe is None else recipe.SPLITS.get(data.name, {})
    return {**given, **data.splits}


def chosen_splits(data: DataConfig) -> list[str]:
    """Names of the splits that the experiment uses, each once: train, validation, test."""
    names = (data.train, data.validation, data.test)
    return list(dict.fromkeys(name for name in names if name is not None))
