"""Is everything there that an experiment reads? Looks at names only, so it is quick, and it imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vlrouting.config import DATASETS, DataConfig, Problem
from vlrouting.data.datasets.registry import chosen_splits, format_of, known_splits, recipe_of
from vlrouting.data.example import DataError
from vlrouting.data.fetch.missing import absent

SPLIT_KEYS = ("train", "validation", "test")
"""Keys of `data` that choose a split."""
USUAL_ANSWERS = 3129
"""Of VQAv2; taken for a head's size where the vocabulary cannot be read yet."""
_NAME_ROOT = "name the folder of the dataset's files"
_FORMAT = ("data.name", "data.prepare")
"""What decides which files and splits there are."""


def missing_files(data: DataConfig, splits: Sequence[str] | None = None, images: bool = True) -> list[Problem]:
    """A problem for each file or image folder that is not there, and for each split that is not known.

    Args:
        data: the section of the experiment.
        splits: names to look at. Default: all that the experiment uses.
        images: look for the image folders too.
    """
    if data.name not in DATASETS:
        return []  # an error in the configuration, which `DataConfig.problems` names
    root, known, recipe = Path(data.root), known_splits(data), recipe_of(data)
    names = chosen_splits(data) if splits is None else splits
    if recipe is not None and data.name not in recipe.SPLITS:
        makes = ", ".join(recipe.SPLITS)
        message = f"the recipe '{data.prepare}' makes files of {makes}, not of {data.name}"
        return [Problem(("data.name", "data.prepare"), message)]
    if recipe is None and os.path.lexists(root) and not root.is_dir():
        return [_no_folder(root)]
    problems: list[Problem] = []
    wanted: dict[str, tuple[str, str]] = {}  # path -> its key, and the key that chose the first split with it
    for name in names:
        chosen_by = next((f"data.{key}" for key in SPLIT_KEYS if getattr(data, key) == name), "data.splits")
        if name not in known:
            problems.append(_unknown_split(chosen_by, name, tuple(known)))
        elif recipe is None:
            found, broken = _files_of(data, name, images)
            wanted |= {path: (key, chosen_by) for path, key in found.items() if path not in wanted}
            problems += broken
    if recipe is not None:
        problems += recipe.problems(root)
    if recipe is None and not os.path.lexists(root):
        problems.insert(0, _missing_folder(root, more=bool(wanted)))
    if data.answers is not None:
        wanted.setdefault(data.answers, ("data.answers", "data.answers"))
    for path, (key, chosen_by) in wanted.items():
        problems += absent(data.name, root, {path: key}, ("data.root", *_FORMAT, chosen_by))
    problems += format_of(data, images).problems(names) if recipe is None and not problems else []
    return list(dict.fromkeys(problems))


def _missing_folder(root: Path, more: bool) -> Problem:
    """The folder of all files is not there; `more`: what is said of each file, with its command, holds too."""
    remedy = f"{_NAME_ROOT}, or fetch them, as is said of each below" if more else _NAME_ROOT
    return Problem((), f"there is no folder {root}", remedy, depends_on=("data.root", *_FORMAT))


def _no_folder(root: Path) -> Problem:
    """Something else is in the place of the folder of all files."""
    what = "is a link to a folder that does not exist" if root.is_symlink() else "is a file, not a folder"
    return Problem(("data.root",), f"{root} {what}", _NAME_ROOT, depends_on=_FORMAT)


def answers_path(data: DataConfig) -> Path | None:
    """The answer vocabulary's file: `data.answers` below `data.root`, or as it is when it is an absolute path."""
    return Path(data.root) / data.answers if data.answers is not None else None


def _files_of(data: DataConfig, name: str, images: bool) -> tuple[dict[str, str], list[Problem]]:
    """Files and image folders of a split by path below the root, and what is wrong with how they are named."""
    dataset, split = format_of(data), known_splits(data)[name]
    wanted: dict[str, str] = {}
    problems: list[Problem] = []
    looks: list[Callable[[], dict[str, str]]] = [partial(dataset.split_files, name, split)]
    looks += [partial(dataset.image_folders, Path(data.root), name, split)] if images else []
    for look in looks:
        try:
            wanted |= look()
        except DataError as error:
            problem = error.problem or Problem((), str(error))
            problems.append(replace(problem, depends_on=("data.root", *_FORMAT)))
    return wanted, problems


def _unknown_split(key: str, name: str, known: tuple[str, ...]) -> Problem:
    message, remedy = f"the split '{name}' is not one of {', '.join(known)}", "describe it in data.splits"
    return Problem((key,), message, remedy, word=name, choices=known, depends_on=_FORMAT)
