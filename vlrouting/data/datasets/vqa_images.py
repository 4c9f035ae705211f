"""Image paths of VQAv2: by subtype (such as train2014) and number, or by the names in a per-split list."""

from __future__ import annotations

import re
from pathlib import Path

from vlrouting.config import SplitConfig
from vlrouting.data.datasets.image_paths import ImageTemplate, Placeholders
from vlrouting.data.datasets.json_records import read_ends
from vlrouting.data.example import DataError

PLACEHOLDERS = Placeholders(
    sample={"subtype": "train2014", "image_id": 1, "img_id": "COCO_train2014_000000000001"},
    identify=(frozenset({"image_id"}), frozenset({"img_id"})),
)
_LIST_NAME = re.compile(r"COCO_(?P<subtype>[^_/]+)_(?P<image_id>\d+)")
_SUBTYPE = re.compile(r'"data_subtype"\s*:\s*"([^"]+)"')
_NAME_IN_LIST = re.compile(r'"COCO_([^_"/]+)_\d+"')
_OFFICIAL_SUBTYPES = {name: [name] for name in ("train2014", "val2014", "test2015")} | {
    "karpathy_train": ["train2014", "val2014"],
    "karpathy_val": ["val2014"],
    "karpathy_test": ["val2014"],
}


class ImagePaths:
    """Makes the image paths of one split. The questions of an image (five on average) share one tuple and Path."""

    def __init__(self, root: Path, split_name: str, split: SplitConfig) -> None:
        """
        Raises:
            DataError: the template is invalid.
        """
        self._root, self._template = root, ImageTemplate(split_name, split, PLACEHOLDERS)
        self._known: dict[object, tuple[Path, ...]] = {}

    def by_number(self, subtype: str, image_id: int, where: str) -> tuple[Path, ...]:
        """The image of an official record.

        Raises:
            DataError: it does not lie below the data root; starts with `where`.
        """
        known = self._known.get(image_id)
        if known is None:
            img_id = f"COCO_{subtype}_{image_id:012d}"
            known = self._known[image_id] = self._fill(where, subtype, image_id, img_id)
        return known

    def by_name(self, img_id: str, where: str) -> tuple[Path, ...]:
        """The image of a record in a per-split list, `COCO_train2014_000000458752`.

        Raises:
            DataError: the template needs subtype and number, and the name has another form; or the image does not lie
                below the data root. Starts with `where`.
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
            known = self._known[img_id] = self._fill(where, subtype, number, img_id)
        return known

    def _fill(self, where: str, subtype: str, image_id: int, img_id: str) -> tuple[Path, ...]:
        return (self._template.path(self._root, where, subtype=subtype, image_id=image_id, img_id=img_id),)


def image_folders(root: Path, split_name: str, split: SplitConfig) -> dict[str, str]:
    """See `DatasetFormat`."""
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    return template.folders("subtype", lambda: _subtypes(root / split.questions, split_name))


def _subtypes(questions: Path, split_name: str) -> list[str]:
    """Values of `{subtype}` in a split, from both ends of its file, or from its name if the file is missing."""
    text = "\n".join(read_ends(questions))
    if not text.strip():
        return _OFFICIAL_SUBTYPES.get(split_name, [])
    return sorted(set(_SUBTYPE.findall(text) or _NAME_IN_LIST.findall(text)))
