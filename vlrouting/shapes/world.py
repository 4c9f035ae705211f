"""Recipe `shapes`: the project's own world, drawn from a seed and written in the official formats of every task.

One image has captions (COCO), questions (VQAv2) and questions with programs (GQA); NLVR2 has pairs of its own.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from filelock import FileLock

from vlrouting.config import Problem, SplitConfig
from vlrouting.data.datasets.json_records import read_json
from vlrouting.data.datasets.manifest import lost_files
from vlrouting.data.example import DataError

_NAMES = ("train", "val", "test")
SPLITS: dict[str, dict[str, SplitConfig]] = {
    "vqav2": {
        name: SplitConfig(f"questions_{name}.json", f"annotations_{name}.json", "images/{subtype}/{image_id}.png")
        for name in _NAMES
    },
    "coco": {name: SplitConfig(annotations="dataset_coco.json") for name in _NAMES},
    "gqa": {
        f"{name}{end}": SplitConfig(
            f"gqa/{name}_{tier}_questions.json", f"gqa/{name}_choices.json", f"images/{name}/{{image_id}}.png"
        )
        for name in _NAMES
        for end, tier in (("", "balanced"), ("_all", "all"))
    },
    "nlvr2": {
        name: SplitConfig(f"nlvr2/{name}.json", images=f"nlvr2/images/{name}/{{pair}}-img{{side}}.png")
        for name in _NAMES
    },
}
"""Dataset -> split -> files. GQA's `*_all` also have the questions that consistency needs."""
STAMP = "prepared.json"
RECIPE = "shapes"
VERSION = 2
"""Raised whenever the files come out differently, so that older ones are not taken for the same."""
MOST_IMAGES = 100_000
"""Of a split: beyond, the numbers of its images would be another's."""
_PATHS = (
    *("dataset_coco.json", "scenes.json"),
    *(f"{kind}_{name}.json" for name in _NAMES for kind in ("captions", "questions", "annotations")),
    *(f"gqa/{name}_{kind}.json" for name in _NAMES for kind in ("balanced_questions", "all_questions", "choices")),
    *(f"{folder}/{name}" for name in _NAMES for folder in ("images", "nlvr2/images")),
    *(f"nlvr2/{name}.json" for name in _NAMES),
)


def problems(root: Path) -> list[Problem]:
    """Why the files are not there and cannot be made either; empty when all is well."""
    try:
        if _stamp(root) is None:
            return []
    except DataError as error:
        return [Problem((), str(error), depends_on=("data.root",))]
    return lost_files(root, _PATHS)


def prepare(root: Path) -> None:
    """Make a world of the usual size and seed; does nothing where one is, of whatever size and seed.

    Raises:
        DataError: `root` holds something else, or a world of another version.
    """
    root = root.resolve()
    if _stamp(root) is None:
        make_world(root)


def make_world(root: Path, seed: int = 0, train: int = 8000, val: int = 500, test: int = 1000) -> None:
    """Draw the world and write all its files under `root`; does nothing when they are there.

    The same arguments give the same bytes. Everything is written beside `root` and moved into place whole, so a
    cut-off leaves nothing that looks finished. Several processes may call this at once: the first does the work.

    Args:
        root: folder of the files; it must not exist yet, be empty, or be of an earlier call with the same arguments.
        seed: decides everything.
        train, val, test: number of single images. NLVR2's files have half as many pairs, in training
            a quarter, and four sentences of each.

    Raises:
        DataError: a number is out of range, or `root` holds something else.
    """
    images = {"train": train, "val": val, "test": test}
    _check_numbers(seed, images)
    wanted = {"recipe": RECIPE, "version": VERSION, "seed": seed, "images": images}
    root = root.resolve()
    if _is_there(root, wanted):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        if _is_there(root, wanted):
            return
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise DataError(
                f"{root}: holds files that this recipe did not make; move them away, or choose another root"
            )
        unfinished = root.with_name(f"{root.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        # Drawing needs numpy and Pillow, which whoever only looks at SPLITS does not load.
        from vlrouting.shapes.files import write_world

        write_world(unfinished, seed, images)
        (unfinished / STAMP).write_text(json.dumps(wanted), encoding="utf-8")
        os.replace(unfinished, root)


def _check_numbers(seed: int, images: dict[str, int]) -> None:
    if seed < 0:
        raise DataError(f"seed: {seed} is below 0; give a number from 0 on")
    for name, count in images.items():
        if not 1 <= count <= MOST_IMAGES:
            raise DataError(f"{name}: {count} images are not between 1 and {MOST_IMAGES:,}; give such a number")


def _is_there(root: Path, wanted: dict[str, object]) -> bool:
    found = _stamp(root)
    if found is None:
        return False
    different = [
        f"{key} {found.get(key)} instead of {value}" for key, value in wanted.items() if found.get(key) != value
    ]
    if different:
        raise DataError(
            f"{root / STAMP}: there is another world ({', '.join(different)}); remove the folder, or choose another"
        )
    return True


def _stamp(root: Path) -> dict[str, object] | None:
    """What an earlier call made here; None for nothing.

    Raises:
        DataError: another recipe made it, or another version of this one.
    """
    if not (root / STAMP).exists():
        return None
    content = read_json(root / STAMP)
    stamp: dict[str, object] = content if isinstance(content, dict) else {}
    if (stamp.get("recipe"), stamp.get("version")) != (RECIPE, VERSION):
        raise DataError(
            f"{root / STAMP}: made by recipe {stamp.get('recipe')}, version {stamp.get('version')}, not by {RECIPE}, "
            f"version {VERSION}; choose another root, or remove the folder, and it is made anew"
        )
    return stamp
