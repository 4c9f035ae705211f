"""COCO captions: Karpathy's file or an official captions file; which of the two is seen from the content.

An example is one image with all its captions. Formats and download: https://cocodataset.org, `data/README.md`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.config.names import listed
from vlrouting.data.datasets.captions import captioned
from vlrouting.data.datasets.format import DatasetFormat
from vlrouting.data.datasets.image_paths import ImageTemplate, Placeholders, image_key
from vlrouting.data.datasets.json_records import name_record, read_json, take
from vlrouting.data.datasets.karpathy import FOLDERS, folders_of, karpathy_examples
from vlrouting.data.datasets.manifest import absent
from vlrouting.data.example import DataError, Example

DEFAULT_SPLITS: dict[str, SplitConfig] = {
    **{name: SplitConfig(annotations="dataset_coco.json") for name in ("train", "val", "test")},
    **{
        name: SplitConfig(annotations=f"annotations/captions_{name}.json", images=f"{name}/{{file_name}}")
        for name in ("train2014", "val2014", "train2017", "val2017")
    },
}
"""Splits that an experiment may name without saying where they lie: Karpathy's, and the official ones."""
PLACEHOLDERS = Placeholders(
    sample={"subtype": "val2014", "image_id": 1, "file_name": "COCO_val2014_000000000001.jpg"},
    identify=(frozenset({"file_name"}), frozenset({"image_id"})),
    default="{subtype}/{file_name}",
)
"""`{subtype}` is Karpathy's `filepath`, or the part of an official file name: COCO_train2014_… lies in train2014."""
_SUBTYPE = re.compile(r"COCO_([^_/]+)_\d+\.")
_LOOK = 65_536
"""Bytes of a file in which the folders of the images are looked for."""


def split_files(split_name: str, split: SplitConfig) -> dict[str, str]:
    """The split's file: path below the data root -> key in the configuration.

    Raises:
        DataError: no captions file is named, or questions are.
    """
    key = f"data.splits.{split_name}"
    if split.questions:
        raise DataError.about(
            f"{key}.questions", "has no meaning for captions", "name the captions file under annotations"
        )
    if not split.annotations:
        raise DataError.about(f"{key}.annotations", "is empty", "give the name of the captions file")
    return {split.annotations: f"{key}.annotations"}


def image_folders(root: Path, split_name: str, split: SplitConfig) -> dict[str, str]:
    """Image folders of a split: path below the data root -> key in the configuration.

    Raises:
        DataError: the template of the images is not sound.
    """
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    same_for_all = template.folder(subtype="a") == template.folder(subtype="b")
    subtypes = [""] if same_for_all else _subtypes(root / (split.annotations or ""), split_name)
    return {template.folder(subtype=subtype): image_key(split_name) for subtype in subtypes}


def read_split(root: Path, split_name: str, split: SplitConfig) -> list[Example]:
    """Read and check one split: an example for each image, in the order of its file. Images are not opened.

    Raises:
        DataError: the file is missing (with the command that fetches it), or broken (file, record, remedy).
    """
    (file,) = files = split_files(split_name, split)
    missing = absent("coco", root, files)
    if missing:
        raise DataError.of_missing(missing)
    template = ImageTemplate(split_name, split, PLACEHOLDERS)
    content = read_json(root / file, object_hook=_caption_text)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list) or not content["images"]:
        raise DataError(
            f"{root / file}: has no list 'images'; name Karpathy's dataset_coco.json or an official captions file"
        )
    if "annotations" in content:
        return _official_examples(content, root / file, root, template, split_name)
    return karpathy_examples(content, root / file, root, split_name, template)


def _caption_text(record: dict[str, Any]) -> Any:
    """JSON hook: a sentence of Karpathy's becomes its text at once, since its tokens would take over 1 GB."""
    raw = record.get("raw")
    return raw if isinstance(raw, str) else record


def _official_examples(
    content: dict[str, Any], path: Path, root: Path, template: ImageTemplate, split_name: str
) -> list[Example]:
    captions: dict[int, list[str]] = {}
    paths: dict[int, Path] = {}
    for number, record in enumerate(content["images"], start=1):
        image_id = take(record, "id", (int,), path, number)
        if image_id in captions:
            raise DataError(f"{path}: image id {image_id} occurs twice; remove one of the two records")
        captions[image_id] = []
        file_name = take(record, "file_name", (str,), path, number)
        subtype = _subtype(file_name, template, split_name, name_record(path, record, number))
        paths[image_id] = root / template.fill(subtype=subtype, image_id=image_id, file_name=file_name)
    unknown: dict[int, None] = {}
    for number, record in enumerate(take(content, "annotations", (list,), path, 1), start=1):
        image_id = take(record, "image_id", (int,), path, number)
        caption = take(record, "caption", (str,), path, number)
        if image_id in captions:
            captions[image_id].append(caption)
        else:
            unknown[image_id] = None
    _check_pairs(captions, unknown, path)
    return [
        captioned(image_id, paths[image_id], texts, f"{path}: image {image_id}") for image_id, texts in captions.items()
    ]


def _check_pairs(captions: dict[int, list[str]], unknown: dict[int, None], path: Path) -> None:
    """Every image has captions, and every caption an image."""
    bare = [image_id for image_id, texts in captions.items() if not texts]
    found = []
    if unknown:
        found.append(f"{path}: captions of images that the file does not list: image_id {listed(unknown)}")
    if bare:
        found.append(f"{path}: images without a caption: {listed(bare)}")
    if found:
        raise DataError("\n".join([*found, "Fetch the file again, or remove these records."]))


def _subtype(file_name: str, template: ImageTemplate, split_name: str, where: str) -> str:
    match = _SUBTYPE.match(file_name)
    if match is None and "subtype" in template.used:
        raise DataError(
            f"{where}: file_name '{file_name}' does not tell its folder, as COCO_train2014_… would; set "
            f"{image_key(split_name)} to a template such as train2017/{{file_name}}"
        )
    return match[1] if match is not None else ""


def _subtypes(path: Path, split_name: str) -> list[str]:
    """Values of `{subtype}` in a split: from the beginning of its file, from its name where the file is missing too."""
    try:
        with path.open("rb") as file:
            head = file.read(_LOOK).decode(errors="replace")
    except OSError:
        return FOLDERS.get(split_name, [])
    folders = folders_of(head, split_name)
    return folders if folders is not None else sorted(set(_SUBTYPE.findall(head)))


FORMAT = DatasetFormat(read_split, DEFAULT_SPLITS, split_files, image_folders)
