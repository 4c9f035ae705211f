"""The pictures of a user's folder, and whether the names of its sub-folders are classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vlrouting.experiment.errors import UserError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Of files that count as pictures, in lower case."""
PICTURE_FOLDER = "images"
"""The sub-folder that paths in a table may leave out."""
MADE_FOLDERS = frozenset({"features", "extracted-images", "runs", "experiments"})
"""Sub-folders that the project itself fills, the last two where commands are run in the user's folder."""
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test"}
"""Name of a sub-folder -> the split that it stands for."""


@dataclass(frozen=True)
class ClassPicture:
    """A picture in a folder that is named after its class."""

    path: PurePosixPath
    label: str
    split: str
    """Empty where the folders name none."""


def find_pictures(root: Path) -> list[PurePosixPath]:
    """Paths below a folder of all pictures in it, sorted; hidden folders and those that the project fills are left out.

    Raises:
        UserError: a folder may not be read.
    """
    found = []
    for folder, subfolders, files in os.walk(root, onerror=_refused):
        inside = Path(folder).relative_to(root)
        made = MADE_FOLDERS if inside == Path() else frozenset()
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in made]
        found += [
            PurePosixPath(inside.as_posix(), name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        ]
    return sorted(found)


def _refused(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read: {error.strerror}; correct the folder's permissions") from None


def classes_of(pictures: list[PurePosixPath]) -> list[ClassPicture]:
    """The pictures with their classes, where every one lies as in `cat/1.jpg` or `train/cat/1.jpg`; else none.

    This is the layout of torchvision's ImageFolder and of Hugging Face's imagefolder. All of it may lie in `images/`.
    """
    found = []
    for path in pictures:
        parts = path.parts[1:] if path.parts[0] == PICTURE_FOLDER else path.parts
        split = SPLIT_NAMES.get(parts[0].lower(), "") if len(parts) == 3 else ""
        if len(parts) != 2 + bool(split):
            return []
        found.append(ClassPicture(path, parts[-2], split))
    several = len({picture.label for picture in found}) > 1
    mixed = len({bool(picture.split) for picture in found}) > 1
    only_splits = {picture.label.lower() for picture in found} <= SPLIT_NAMES.keys()
    return found if several and not mixed and not only_splits else []
