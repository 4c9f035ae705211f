"""Captions as records of COCO's files: Karpathy's file of all splits, and the official file of one split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vlrouting.shapes.draw import SIDE

_RESTVAL_EVERY = 10
"""Every tenth training image is in split `restval`, like the part of COCO's val2014 that is used for training."""


def karpathy_record(split: str, image_id: int, imgid: int, captions: Sequence[str]) -> dict[str, Any]:
    """One image of `dataset_coco.json`. `imgid` counts the records of the file; `cocoid` is the image number."""
    rest = split == "train" and image_id % _RESTVAL_EVERY == 0
    sentids = [imgid * len(captions) + number for number in range(len(captions))]
    return {
        "filepath": f"images/{split}",
        "filename": f"{image_id}.png",
        "cocoid": image_id,
        "imgid": imgid,
        "split": "restval" if rest else split,
        "sentids": sentids,
        "sentences": [
            {"tokens": re.findall(r"[a-z]+", caption.lower()), "raw": caption, "imgid": imgid, "sentid": sentid}
            for sentid, caption in zip(sentids, captions, strict=True)
        ],
    }


def official_captions(split: str, captions: dict[int, list[str]]) -> dict[str, Any]:
    """The content of `captions_{split}.json`. As in COCO's file, annotations are not grouped by image."""
    rounds = max(map(len, captions.values()), default=0)
    spread = [(image_id, given[turn]) for turn in range(rounds) for image_id, given in captions.items()]
    return {
        "info": {"description": f"Captions of the shapes world, {split}", "version": "1.0"},
        "licenses": [],
        "images": [
            {"id": image_id, "file_name": f"{image_id}.png", "height": SIDE, "width": SIDE} for image_id in captions
        ],
        "annotations": [
            {"image_id": image_id, "id": number, "caption": caption}
            for number, (image_id, caption) in enumerate(spread, start=1)
        ],
    }
