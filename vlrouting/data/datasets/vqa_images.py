"""Where the images of VQAv2's questions lie: numbered files of a subtype such as train2014, or named ones of a list."""

from __future__ import annotations

import re
from pathlib import Path

from vlrouting.config import SplitConfig
from vlrouting.data.datasets.image_paths import ImageTemplate, Placeholders, image_key
from vlrouting.data.example import DataError

PLACEHOLDERS = Placeholders(
    sample={"subtype": "train2014", "image_id": 1, "img_id": "COCO_train2014_000000000001"},
    identify=(frozenset({"image_id"}), frozenset({"img_id"})),
)
_LIST_NAME = re.compile(r"COCO_(?P<subtype>[^_/]+)_(?P<image_id>\d+)")
_SUBTYPE = re.compile(rb'"data_subtype"\s*:\s*"([^"]+)"')
_NAME_IN_LIST = re.compile(rb'"COCO_([^_"/]+)_\d+"')
_LOOK = 65_536
"""Bytes at either end of a questions file in which the subtype is looked for."""
_OFFICIAL_SUBTYPES = {name: [name] for name in ("train2014", "val2014", "test2015")} | {
    "karpathy_train": ["train2014", "val2014"],
    "karpathy_val": ["val2014"],
    "karpathy_test": ["val2014"],
}


class ImagePaths:
    """Fills in one split's template. An image has five questions on average: they share one tuple and one Path."""

    def __init__(self, root: Path, split_name: str, split: SplitConfig) -> None:
        """
        Raises:
            DataError: the template is not sound.
        """
        self._root, self._template = root, ImageTemplate(split_name, split, PLACEHOLDERS)
        self._known: dict[object, tuple[Path, ...]] = {}

    def by_number(self, subtype: str, image_id: int) -> tuple[Path, ...]:
        """The image of an official record."""
        known = self._known.get(image_id)
        if known is None:
            img_id = f"COCO_{subtype}_{image_id:012d}"
            known = self._known[image_id] = self._fill(subtype, image_id, img_id)
        return known

    def by_name(self, img_id: str, where: str) -> tuple[Path, ...]:
        """The image of a per-split list's record, `COCO_train2014_000000458752`.

        Raises:
            DataError: the template wants subtype and number, which the name does not carry; starts with `where`.
        """
        known = self._known.get(img_id)
        if known is None:
            match = _LIST_NAME.fullmatch(img_id)
            if match is None and self._template.used != {"img_id"}:
                raise DataError(
                    f"{where}: img_id '{img_id}' is not of the form COCO_<subtype>_<number>; set the split's `images` "
                    "to a template of {img_id} alone"
                )
            subtype, number = (match["subtype"], int(match["image_id"])) if match else ("", 0)
            known = self._known[img_id] = self._fill(subtype, number, img_id)
        return known

    def _fill(self, subtype: str, image_id: int, img_id: str) -> tuple[Path, ...]:
        return (self._root / self._template.fill(subtype=subtype, image_id=image_id, img_id=img_id),)


def image_folders(root: Path, split_name: str, split: SplitConfig) -> dict[str, str]:
    """Image folders of a split: path below the data root -> key in the configuration.

    Raises:
        DataError: the template of the images is not sound.
    """
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    same_for_all = template.folder(subtype="a") == template.folder(subtype="b")
    subtypes = [""] if same_for_all else _subtypes(root / split.questions, split_name)
    return {template.folder(subtype=subtype): image_key(split_name) for subtype in subtypes}


def _subtypes(questions: Path, split_name: str) -> list[str]:
    """Values of `{subtype}` in a split: from the two ends of its file, from its name where the file is missing too."""
    try:
        with questions.open("rb") as file:
            text = file.read(_LOOK)
            file.seek(max(len(text), file.seek(0, 2) - _LOOK))
            text += b"\n" + file.read()
    except OSError:
        return _OFFICIAL_SUBTYPES.get(split_name, [])
    found = _SUBTYPE.findall(text) or _NAME_IN_LIST.findall(text)
    return sorted({subtype.decode(errors="replace") for subtype in found})
