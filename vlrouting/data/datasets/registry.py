"""The datasets and recipes by name. A plugin adds a dataset by `register_dataset`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from vlrouting.config import DATASETS, METRICS, TASKS, DataConfig, DatasetFacts, DefaultSplits, Problem, SplitConfig
from vlrouting.data.datasets.format import DatasetFormat

if TYPE_CHECKING:
    from vlrouting.metrics.score import Score


class Recipe(Protocol):
    """A module that makes the files of one or several datasets. It is imported only when an experiment asks for it."""

    SPLITS: Mapping[str, Mapping[str, SplitConfig]]
    """`data.name` -> splits that are made."""

    def prepare(self, root: Path, /) -> None:
        """Make the files under `root`; does nothing when they are there. Raises DataError."""

    def problems(self, root: Path, /) -> list[Problem]:
        """Why the files are not there and cannot be made either; empty when all is well."""


RECIPES: dict[str, str] = {"easy_vqa": "vlrouting.data.datasets.easy_vqa", "shapes": "vlrouting.shapes"}
"""`data.prepare` -> module, a `Recipe`."""


def register_dataset(
    name: str,
    dataset: DatasetFormat,
    score: type[Score],
    tasks: Sequence[str],
    *,
    splits: DefaultSplits = DatasetFacts.splits,
) -> None:
    """Make `data.name: name` available. A module that calls this is named under an experiment's `plugins`.

    Args:
        name: of the dataset, and of its metric.
        dataset: its files.
        score: how its predictions are scored.
        tasks: what it can be used for: names that `task` may have.
        splits: those of an experiment that names none.

    Raises:
        ValueError: the name is taken, or a task is not known.
    """
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise ValueError(f"the dataset '{name}': '{unknown[0]}' is no task; known: {', '.join(TASKS)}")
    METRICS.register(name, None, score)
    DATASETS.register(name, DatasetFacts(dict.fromkeys(tasks, name), splits), dataset)


def format_of(data: DataConfig, images: bool = True) -> DatasetFormat:
    """The format of `data.name`; of a dataset whose files say how they are to be read, made for them.

    Args:
        data: the section of the experiment.
        images: whether its images have to be there.

    Raises:
        UnknownName: no such dataset is registered.
    """
    found: DatasetFormat | Callable[[DataConfig, bool], DatasetFormat] = DATASETS.load(data.name)
    return found if isinstance(found, DatasetFormat) else found(data, images)


def recipe_of(data: DataConfig) -> Recipe | None:
    """The recipe of `data.prepare`; None where there is none, or none of that name."""
    module = RECIPES.get(data.prepare or "")
    return cast(Recipe, importlib.import_module(module)) if module is not None else None


def known_splits(data: DataConfig) -> dict[str, SplitConfig]:
    """Splits that the experiment may name: those that come with dataset or recipe, then `data.splits` over them."""
    recipe = recipe_of(data)
    given = format_of(data).splits if recipe is None else recipe.SPLITS.get(data.name, {})
    return {**given, **data.splits}


def chosen_splits(data: DataConfig) -> list[str]:
    """Names of the splits that the experiment uses, each once: train, validation, test."""
    names = (data.train, data.validation, data.test)
    return list(dict.fromkeys(name for name in names if name is not None))
