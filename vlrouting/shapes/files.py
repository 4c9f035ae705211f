"""Generates the whole world: images, and annotation files in every format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from vlrouting.progress_bar import progress_bar
from vlrouting.shapes import coco_files, gqa_files, nlvr2_files, vqa_questions
from vlrouting.shapes.caption_sentences import captions
from vlrouting.shapes.draw import draw
from vlrouting.shapes.scene import Scene, Thing, random_scene

FIRST_IMAGE = {"train": 1, "val": 100_001, "test": 200_001}
"""Number of a split's first image; image numbers are unique over all splits."""
_NOTICE = """The shapes world: pictures of coloured shapes with captions, questions and statements about them,
in the file formats of COCO captions, VQAv2, GQA and NLVR2. Drawn by vlrouting from a seed; `scenes.json`
says what every picture shows. Licence: Apache-2.0, as vlrouting.
Some combinations of colour and shape occur only in the test split: half of its pictures show at least one.
"""


class _World:
    """The folder being filled. Records are stored as JSON text, which takes a tenth of the memory."""

    def __init__(self, folder: Path, seed: int, advance: Callable[[int], None]) -> None:
        self.folder, self.seed, self._advance = folder, seed, advance
        self.captioned: list[str] = []
        """Karpathy's records of all splits."""
        self.scenes: list[str] = []
        """Image path and scene, as entries of a JSON object."""

    def add_image(self, path: str, scene: Scene) -> None:
        """Draw a scene; the folder of `path` must exist."""
        content = BytesIO()
        draw(scene).save(content, format="PNG", compress_level=1)
        (self.folder / path).write_bytes(content.getvalue())
        things = [{field.name: getattr(thing, field.name) for field in fields(Thing)} for thing in scene.things]
        self.scenes.append(_entry(path, {"background": scene.background, "things": things}))
        self._advance(1)


def write_world(folder: Path, seed: int, images: dict[str, int]) -> None:
    """Write all files into a new folder.

    Args:
        folder: must not exist.
        seed: determines all random choices. A larger world starts with the images of a smaller one.
        images: split -> number of single images.
    """
    sets = {split: _sentence_sets(split, count) for split, count in images.items()}
    total = sum(images.values()) + 2 * nlvr2_files.PAIRS * sum(sets.values())
    (folder / "gqa").mkdir(parents=True)
    with progress_bar("shapes world", total, "images") as advance:
        world = _World(folder, seed, advance)
        for split, count in images.items():
            _write_images(world, split, count)
            _write_pairs(world, split, sets[split])
    _write_list(folder / "dataset_coco.json", "images", world.captioned, {"dataset": "shapes"})
    _write_object(folder / "scenes.json", world.scenes)
    (folder / "README.txt").write_text(_NOTICE, encoding="utf-8")


def _sentence_sets(split: str, images: int) -> int:
    """Number of sets in NLVR2's files, for two examples per single image, in training one."""
    examples = images if split == "train" else 2 * images
    return max(1, examples // (nlvr2_files.PAIRS * nlvr2_files.SENTENCES))


def _write_images(world: _World, split: str, count: int) -> None:
    """Write the single images of a split, with their annotations for COCO, VQAv2 and GQA."""
    (world.folder / "images" / split).mkdir(parents=True)
    captioned: dict[int, list[str]] = {}
    questions: list[str] = []
    annotations: list[str] = []
    programs: dict[bool, list[str]] = {True: [], False: []}
    choices: list[str] = []
    for image_id in range(FIRST_IMAGE[split], FIRST_IMAGE[split] + count):
        random = Random(f"{world.seed} {split} {image_id}")
        scene = random_scene(random, held_out=split == "test" and image_id % 2 == 1)
        world.add_image(f"images/{split}/{image_id}.png", scene)
        captioned[image_id] = captions(scene, random)
        record = coco_files.karpathy_record(split, image_id, len(world.captioned), captioned[image_id])
        world.captioned.append(json.dumps(record))
        for kept, records in zip((questions, annotations), vqa_questions.records(scene, image_id, random), strict=True):
            kept += map(json.dumps, records)
        for question_id, record, valid in gqa_files.records(scene, image_id, random):
            programs[record["isBalanced"]].append(_entry(question_id, record))
            choices.append(_entry(question_id, valid))
    folder, header = world.folder, vqa_questions.header(split)
    official = coco_files.official_captions(split, captioned)
    (folder / f"captions_{split}.json").write_text(json.dumps(official), encoding="utf-8")
    _write_list(folder / f"questions_{split}.json", "questions", questions, header)
    _write_list(folder / f"annotations_{split}.json", "annotations", annotations, header)
    _write_object(folder / "gqa" / f"{split}_balanced_questions.json", programs[True])
    _write_object(folder / "gqa" / f"{split}_all_questions.json", programs[True] + programs[False])
    _write_object(folder / "gqa" / f"{split}_choices.json", choices)


def _write_pairs(world: _World, split: str, sets: int) -> None:
    """Write the image pairs of a split, and the statements about them."""
    images = f"nlvr2/images/{split}"
    (world.folder / images).mkdir(parents=True)
    lines: list[str] = []
    for number in range(sets):
        random = Random(f"{world.seed} {split} pairs {number}")
        records, pairs = nlvr2_files.sentence_set(split, number, random, held_out=split == "test")
        lines += [json.dumps(record) + "\n" for record in records]
        for pair in pairs:
            world.add_image(f"{images}/{pair.name}-img0.png", pair.left)
            world.add_image(f"{images}/{pair.name}-img1.png", pair.right)
    (world.folder / "nlvr2" / f"{split}.json").write_text("".join(lines), encoding="utf-8")


def _entry(key: str, value: object) -> str:
    return f"{json.dumps(key)}: {json.dumps(value)}"


def _write_object(path: Path, entries: Iterable[str]) -> None:
    path.write_text(f"{{{', '.join(entries)}}}", encoding="utf-8")


def _write_list(path: Path, key: str, records: Iterable[str], header: dict[str, Any]) -> None:
    """Write a JSON object: the entries of `header`, then the records under `key`."""
    entries = [_entry(name, value) for name, value in header.items()]
    _write_object(path, [*entries, f"{json.dumps(key)}: [{', '.join(records)}]"])
