"""The folder that a recipe fills: made once, completely or not at all, and marked by a stamp file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from filelock import FileLock

from vlrouting.config import Problem
from vlrouting.data import INDEX_FOLDER
from vlrouting.data.datasets.json_records import read_json
from vlrouting.data.example import DataError
from vlrouting.experiment.atomic import named_errors

STAMP = "prepared.json"
Stamp = Mapping[str, object]
"""How a folder was made: recipe, version, and further arguments."""


def is_made(root: Path, wanted: Stamp) -> bool:
    """Whether the folder exists and was made as `wanted`.

    Raises:
        DataError: the folder was made in another way.
    """
    if not (root / STAMP).exists():
        return False
    content = read_json(root / STAMP)
    found = content if isinstance(content, dict) else {}
    different = [
        f"{key} {found.get(key)} instead of {value}" for key, value in wanted.items() if found.get(key) != value
    ]
    if different:
        raise DataError(
            f"{root / STAMP}: the folder was made with {', '.join(different)}; choose another root, or remove the "
            "folder, and it is made again"
        )
    return True


def make_once(root: Path, wanted: Stamp, make: Callable[[Path], Stamp]) -> None:
    """Fill `root`, unless that is done already.

    The files are written to a temporary folder that is renamed at the end, so an interruption leaves no incomplete
    folder. If several processes call this at once, one does the work and the others wait.

    Args:
        root: must not exist, be empty, or have been made as `wanted`.
        wanted: how to make the folder; written to the stamp file.
        make: creates and fills the folder that it is given, and returns further entries of the stamp file.

    Raises:
        DataError: `root` contains something else, or was made in another way.
    """
    if is_made(root, wanted):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        if is_made(root, wanted):
            return
        if holds_files(root):
            raise DataError(
                f"{root}: holds files that this recipe did not make; move them away, or choose another root"
            )
        shutil.rmtree(root / INDEX_FOLDER, ignore_errors=True)
        unfinished = root.with_name(f"{root.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        try:
            with named_errors(root):
                stamp = {**wanted, **make(unfinished)}
                (unfinished / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
                os.replace(unfinished, root)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)  # on a full disk, nobody should have to
            raise


def holds_files(root: Path) -> bool:
    """Whether something is there that a recipe would overwrite. An index of files that are gone is nothing."""
    return root.exists() and (not root.is_dir() or any(path.name != INDEX_FOLDER for path in root.iterdir()))


def folder_problems(root: Path, wanted: Stamp, paths: Iterable[str]) -> list[Problem]:
    """What is wrong with a folder that exists: made in another way, or with missing `paths`."""
    try:
        missing = [path for path in paths if not (root / path).exists()] if is_made(root, wanted) else []
    except DataError as error:
        return [Problem((), str(error), depends_on=("data.root",))]
    if not missing:
        return []
    message, remedy = f"{root} lacks {', '.join(missing)}", "remove the folder, and it is made again"
    return [Problem((), message, remedy, depends_on=("data.root",))]
