"""Where the image of a question lies: the split's template, filled in."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

from vlrouting.data.example import DataError

_COCO_NAME = re.compile(r"COCO_(?P<subtype>[^_/]+)_(?P<image_id>\d+)")


def template_problem(template: str) -> str | None:
    """What is wrong with a template such as `{subtype}/COCO_{subtype}_{image_id:012d}.jpg`; None when it is sound."""
    try:
        used = _used(template)
        template.format(subtype="train2014", image_id=1, img_id="COCO_train2014_000000000001")
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        return f"'{template}' is no valid template ({error}); placeholders are {{subtype}}, {{image_id}}, {{img_id}}"
    if not used & {"image_id", "img_id"}:
        return f"'{template}' names neither {{image_id}} nor {{img_id}}, so that every question gets the same image"
    return None


def image_folder(template: str, subtype: str) -> Path:
    """The folder above the first part of the template that depends on the image: `train2014`."""
    parts: list[str] = []
    for part in template.split("/")[:-1]:
        if _used(part) & {"image_id", "img_id"}:
            break
        parts.append(part.format(subtype=subtype))
    return Path("/".join(parts) or ("/" if template.startswith("/") else "."))


def _used(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


class ImagePaths:
    """Fills in one split's template. An image has five questions on average: they share one tuple and one Path."""

    def __init__(self, root: Path, template: str, key: str) -> None:
        """`key` is the template's place in the configuration, for the message.

        Raises:
            DataError: the template is not sound.
        """
        problem = template_problem(template)
        if problem is not None:
            raise DataError(f"{key}: {problem}")
        self._root, self._template, self._used = root, template, _used(template)
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
            match = _COCO_NAME.fullmatch(img_id)
            if match is None and self._used != {"img_id"}:
                raise DataError(
                    f"{where}: img_id '{img_id}' is not of the form COCO_<subtype>_<number>; set the split's `images` "
                    "to a template of {img_id} alone"
                )
            subtype, number = (match["subtype"], int(match["image_id"])) if match else ("", 0)
            known = self._known[img_id] = self._fill(subtype, number, img_id)
        return known

    def _fill(self, subtype: str, image_id: int, img_id: str) -> tuple[Path, ...]:
        return (self._root / self._template.format(subtype=subtype, image_id=image_id, img_id=img_id),)
