"""Is everything there that an experiment reads? Looks at names only, so it is quick, and it imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from vlrouting.config import DATASETS, DataConfig
from vlrouting.data.datasets.manifest import absent
from vlrouting.data.datasets.registry import chosen_splits, format_of, known_splits, recipe_of
from vlrouting.data.example import DataError


def missing_files(data: DataConfig, splits: Sequence[str] | None = None, images: bool = True) -> list[str]:
    """A sentence with the remedy for each file or image folder that is not there, and each split that is not known.

    Args:
        data: the section of the experiment.
        splits: names to look at. Default: all that the experiment uses.
        images: look for the image folders too.
    """
    if data.name not in DATASETS:
        return []  # a mistake in the configuration, which `DataConfig.problems` names
    root, known, recipe = Path(data.root), known_splits(data), recipe_of(data)
    if recipe is not None and data.name not in recipe.SPLITS:
        makes = ", ".join(recipe.SPLITS)
        return [f"data.name, prepare: the recipe '{data.prepare}' makes files of {makes}, not of {data.name}"]
    problems: list[str] = []
    wanted: dict[str, str] = {}  # path below root -> configuration key; two splits may share a file or a folder
    for name in chosen_splits(data) if splits is None else splits:
        if name not in known:
            problems.append(_unknown(name, list(known)))
        elif recipe is None:
            found, broken = _files_of(data, name, images)
            wanted |= found
            problems += broken
    if recipe is not None:
        problems += recipe.problems(root)
    if data.answers is not None:
        wanted.setdefault(data.answers, "data.answers")
    return problems + absent(data.name, root, wanted)


def answers_path(data: DataConfig) -> Path | None:
    """The answer vocabulary's file: `data.answers` below `data.root`, or as it is when it is an absolute path."""
    return Path(data.root) / data.answers if data.answers is not None else None


def _files_of(data: DataConfig, name: str, images: bool) -> tuple[dict[str, str], list[str]]:
    """Files and image folders of a split by path below the root, and what is wrong with how they are named."""
    dataset, split = format_of(data), known_splits(data)[name]
    wanted: dict[str, str] = {}
    problems: list[str] = []
    try:
        wanted |= dataset.split_files(name, split)
    except DataError as error:
        problems.append(str(error))
    try:
        wanted |= dataset.image_folders(Path(data.root), name, split) if images else {}
    except DataError as error:
        problems.append(str(error))
    return wanted, problems


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"data: the split '{name}' is not one of {', '.join(known)}{hint}; describe it in data.splits"
