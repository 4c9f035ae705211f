"""Recipe `shapes`: a synthetic world of coloured shapes, generated from a seed, in the official formats of every task.

Every image has captions (COCO), questions (VQAv2) and questions with programs (GQA). NLVR2 has image pairs of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vlrouting.config import Problem, SplitConfig
from vlrouting.data.datasets.recipe_folder import folder_problems, is_made, make_once
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
"""Dataset -> split -> files. GQA's `*_all` splits also have the questions that consistency needs."""
VERSION = 2
"""Increased whenever the files change, so that older files are not used."""
_MADE_AS = {"recipe": "shapes", "version": VERSION}
MOST_IMAGES = 100_000
"""Per split; the image numbers of the splits are this far apart."""
_PATHS = (
    *("dataset_coco.json", "scenes.json"),
    *(f"{kind}_{name}.json" for name in _NAMES for kind in ("captions", "questions", "annotations")),
    *(f"gqa/{name}_{kind}.json" for name in _NAMES for kind in ("balanced_questions", "all_questions", "choices")),
    *(f"{folder}/{name}" for name in _NAMES for folder in ("images", "nlvr2/images")),
    *(f"nlvr2/{name}.json" for name in _NAMES),
)


def problems(root: Path) -> list[Problem]:
    """Why the files neither exist nor can be made; empty if they exist or can be made."""
    return folder_problems(root, _MADE_AS, _PATHS)


def prepare(root: Path) -> None:
    """Make a world of the default size and seed, unless `root` has a world of any size and seed.

    Raises:
        DataError: `root` contains something else, or a world of another version.
    """
    root = root.resolve()
    if not is_made(root, _MADE_AS):
        make_world(root)


def make_world(root: Path, seed: int = 0, train: int = 8000, val: int = 500, test: int = 1000) -> None:
    """Make all files under `root`, unless they exist (see `make_once`). Equal arguments give equal bytes.

    Args:
        root: folder of the files.
        seed: determines all random choices.
        train, val, test: number of single images. NLVR2 has half as many image pairs (in training a quarter), with
            four statements each.

    Raises:
        DataError: a number is out of range, or `root` contains something else.
    """
    images = {"train": train, "val": val, "test": test}
    if seed < 0:
        raise DataError(f"seed: {seed} is below 0; give a number from 0 on")
    for name, count in images.items():
        if not 1 <= count <= MOST_IMAGES:
            raise DataError(f"{name}: {count} images are not between 1 and {MOST_IMAGES:,}; give such a number")

    def make(folder: Path) -> Mapping[str, object]:
        # Imported here, because commands that only read SPLITS do not need numpy and Pillow.
        from vlrouting.shapes.files import write_world

        write_world(folder, seed, images)
        return {}

    make_once(root.resolve(), {**_MADE_AS, "seed": seed, "images": images}, make)
