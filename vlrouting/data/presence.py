"""Is everything there that an experiment reads? Looks at names only, so it is quick, and it imports no torch."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from vlrouting.config import DataConfig, SplitConfig
from vlrouting.data.example import DataError
from vlrouting.data.image_paths import image_folder, template_problem
from vlrouting.data.manifest import absent
from vlrouting.data.registry import PREPARE_PROBLEMS, READERS, chosen_splits, known_splits
from vlrouting.data.vqav2 import split_files

_SUBTYPE = re.compile(rb'"data_subtype"\s*:\s*"([^"]+)"')
_OFFICIAL_SUBTYPES = {name: [name] for name in ("train2014", "val2014", "test2015")} | {
    "karpathy_train": ["train2014", "val2014"],
    "karpathy_val": ["val2014"],
    "karpathy_test": ["val2014"],
}
_COCO_NAME = re.compile(rb'"COCO_([^_"/]+)_\d+"')
_LOOK = 65_536


def missing_files(data: DataConfig, splits: Sequence[str] | None = None, images: bool = True) -> list[str]:
    """A sentence with the remedy for each file or image folder that is not there, and each split that is not known.

    Args:
        data: the section of the experiment.
        splits: names to look at. Default: all that the experiment uses.
        images: look for the image folders too.
    """
    if data.name not in READERS:
        return []  # a mistake in the configuration, which `DataConfig.problems` names
    root, known = Path(data.root), known_splits(data)
    problems: list[str] = []
    wanted: dict[str, str] = {}  # path below root -> configuration key; two splits may share a file or a folder
    for name in chosen_splits(data) if splits is None else splits:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            problems.append(
                f"data: the split '{name}' is not one of {', '.join(known)}{hint}; describe it in data.splits"
            )
        elif data.prepare not in PREPARE_PROBLEMS:
            try:
                wanted |= split_files(name, known[name])
                wanted |= _image_folders(root, name, known[name]) if images else {}
            except DataError as error:
                problems.append(str(error))
    if data.prepare in PREPARE_PROBLEMS:
        problems += PREPARE_PROBLEMS[data.prepare](root)
    if data.answers is not None:
        wanted.setdefault(data.answers, "data.answers")
    return problems + absent(data.name, root, wanted)


def answers_path(data: DataConfig) -> Path | None:
    """The answer vocabulary's file: `data.answers` below `data.root`, or as it is when it is an absolute path."""
    return Path(data.root) / data.answers if data.answers is not None else None


def _image_folders(root: Path, name: str, split: SplitConfig) -> dict[str, str]:
    """Image folders of a split: path below root -> configuration key.

    Raises:
        DataError: the template of the images is not sound.
    """
    key = f"data.splits.{name}.images"
    problem = template_problem(split.images)
    if problem is not None:
        raise DataError(f"{key}: {problem}")
    subtypes = _subtypes(root / split.questions, name)
    if image_folder(split.images, "a") == image_folder(split.images, "b"):
        subtypes = [""]  # the same folder for all of them
    return {str(image_folder(split.images, subtype)): key for subtype in subtypes}


def _subtypes(questions: Path, split_name: str) -> list[str]:
    """Values of `{subtype}` in a split: from the two ends of its file, from its name where the file is missing too."""
    try:
        with questions.open("rb") as file:
            text = file.read(_LOOK)
            file.seek(max(len(text), file.seek(0, 2) - _LOOK))
            text += b"\n" + file.read()
    except OSError:
        return _OFFICIAL_SUBTYPES.get(split_name, [])
    found = _SUBTYPE.findall(text) or _COCO_NAME.findall(text)
    return sorted({subtype.decode(errors="replace") for subtype in found})
