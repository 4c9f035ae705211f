"""Pack a world of coloured shapes as the official archives of COCO, VQAv2, GQA and NLVR2: their names and layouts.

    python -m tools.official_shapes data/shapes /tmp/served --url http://localhost:8000

With `python -m http.server` in the folder, `vlrouting data fetch coco --manifest /tmp/served/coco.yaml` then does in
seconds what it does with the real archives. The manifests are the real ones, with sizes, checksums and counts of what
is packed. `nlvr2/asked/` has the archives that the authors of NLVR2 give to those who ask.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from vlrouting.data.fetch import manifest as manifests

SPLITS = {"train": "train", "val": "dev", "test": "test1"}
"""The world's split -> NLVR2's."""
PARTS = {"train": "train", "val": "val", "test": "testdev"}
"""The world's split -> GQA's."""
Archives = dict[str, dict[str, bytes]]
"""Name of an archive -> its members; of a file that is no archive: its content under its own name."""


def pack(world: Path, folder: Path, url: str) -> None:
    """Write archives and manifests.

    Args:
        world: what `vlrouting data make shapes` made.
        folder: gets the archives, a folder `asked`, and a manifest for each dataset.
        url: where the folder will be served.
    """
    images = _images(world)
    packed = {
        "coco": _coco(world, images),
        "vqav2": _vqav2(world, images),
        "gqa": _gqa(world),
        "nlvr2": _nlvr2(world),
    }
    for dataset, (archives, counts) in packed.items():
        (folder / dataset / "asked").mkdir(parents=True, exist_ok=True)
        _write(dataset, archives, counts, folder, f"{url.rstrip('/')}/{dataset}")


def _write(dataset: str, archives: Archives, counts: Mapping[str, Mapping[str, int]], folder: Path, url: str) -> None:
    """The archives of a dataset, and its official manifest with their figures."""
    official = manifests.read_manifest(dataset)
    sources: list[dict[str, Any]] = []
    for source in official.sources:
        if source.file not in archives:
            continue
        members = archives[source.file]
        content = _zip(members) if source.is_archive else members[source.file]
        path = folder / dataset / ("asked" if source.page else ".") / source.file
        path.write_bytes(content)
        entry: dict[str, Any] = {"url": f"{url}/{source.file}"}
        if source.page is not None:
            entry = {"page": source.page, "file": source.file}
        figures = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        there = {path: list(splits) for path, splits in source.provides.items() if _has(members, path)}
        sources.append({**entry, **figures, "kind": source.kind, "provides": there})
    known = {split for entry in sources for splits in entry["provides"].values() for split in splits}
    content = {
        "name": f"shapes as {official.name}",
        "dataset": dataset,
        "homepage": official.homepage,
        "licence": dict.fromkeys(official.licences, "Apache-2.0"),
        "default": [split for split in official.default if split in known],
        "splits": {split: dict(each) for split, each in counts.items()},
        "sources": sources,
    }
    (folder / f"{dataset}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _images(world: Path) -> dict[int, tuple[str, bytes]]:
    """Image number -> COCO's subtype, and the picture as a JPEG."""
    found = {}
    for record in json.loads((world / "dataset_coco.json").read_text())["images"]:
        subtype = "train2014" if record["split"] == "train" else "val2014"
        path = world / record["filepath"] / record["filename"]
        found[record["cocoid"]] = (subtype, _jpeg(path))
    return found


def _coco_name(subtype: str, image_id: int) -> str:
    return f"COCO_{subtype}_{image_id:012d}.jpg"


def _image_archives(images: Mapping[int, tuple[str, bytes]]) -> Archives:
    archives: Archives = {"train2014.zip": {}, "val2014.zip": {}}
    for image_id, (subtype, picture) in images.items():
        archives[f"{subtype}.zip"][f"{subtype}/{_coco_name(subtype, image_id)}"] = picture
    return archives


def _coco(world: Path, images: Mapping[int, tuple[str, bytes]]) -> tuple[Archives, dict[str, dict[str, int]]]:
    content = json.loads((world / "dataset_coco.json").read_text())
    for record in content["images"]:
        subtype, _ = images[record["cocoid"]]
        record |= {"filepath": subtype, "filename": _coco_name(subtype, record["cocoid"])}
    officials = [json.loads((world / f"captions_{split}.json").read_text()) for split in SPLITS]
    annotations: dict[str, bytes] = {}
    counts = {split: {"images": sum(_part(record) == split for record in content["images"])} for split in SPLITS}
    for subtype in ("train2014", "val2014"):
        mine = {image_id for image_id, (of, _) in images.items() if of == subtype}
        records = [{**record, "file_name": _coco_name(subtype, record["id"])} for record in _all(officials, "images")]
        captions = [record for record in _all(officials, "annotations") if record["image_id"] in mine]
        official = {**officials[0], "images": [r for r in records if r["id"] in mine], "annotations": captions}
        annotations[f"annotations/captions_{subtype}.json"] = _json(official)
        annotations[f"annotations/instances_{subtype}.json"] = _json({"instances": []})
        counts[subtype] = {"images": len(mine), "captions": len(captions)}
    lists = {"dataset_coco.json": _json(content), "dataset_flickr8k.json": _json({"images": []})}
    archives = {"caption_datasets.zip": lists, "annotations_trainval2014.zip": annotations}
    return {**archives, **_image_archives(images)}, counts


def _part(record: Mapping[str, Any]) -> str:
    return "train" if record["split"] == "restval" else str(record["split"])


def _vqav2(world: Path, images: Mapping[int, tuple[str, bytes]]) -> tuple[Archives, dict[str, dict[str, int]]]:
    archives, counts = _image_archives(images), {}
    contents = {
        kind: [json.loads((world / f"{kind}_{split}.json").read_text()) for split in SPLITS]
        for kind in ("questions", "annotations")
    }
    answers = {record["multiple_choice_answer"] for record in _all(contents["annotations"], "annotations")}
    archives["trainval_label2ans.json"] = {"trainval_label2ans.json": _json(sorted(answers))}
    for subtype, name in (("train2014", "Train"), ("val2014", "Val")):
        for kind, file in (
            ("questions", "v2_OpenEnded_mscoco_{}_questions.json"),
            ("annotations", "v2_mscoco_{}_annotations.json"),
        ):
            mine = [record for record in _all(contents[kind], kind) if images[record["image_id"]][0] == subtype]
            official = {**contents[kind][0], "data_type": "mscoco", "data_subtype": subtype, kind: mine}
            archives[f"v2_{kind.capitalize()}_{name}_mscoco.zip"] = {file.format(subtype): _json(official)}
        counts[subtype] = {"questions": len(mine), "images": len({record["image_id"] for record in mine})}
    return archives, counts


def _gqa(world: Path) -> tuple[Archives, dict[str, dict[str, int]]]:
    questions, images, counts = {}, {}, {}
    for split, part in PARTS.items():
        for tier in ("balanced", "all"):
            content = json.loads((world / "gqa" / f"{split}_{tier}_questions.json").read_text())
            counts[f"{part}_{tier}"] = {"questions": len(content)}
            if (part, tier) == ("train", "all"):
                items = list(content.items())
                for chunk in range(2):
                    name = f"train_all_questions/train_all_questions_{chunk}.json"
                    questions[name] = _json(dict(items[chunk::2]))
            else:
                questions[f"{part}_{tier}_questions.json"] = _json(content)
        for path in sorted((world / "images" / split).iterdir()):
            images[f"images/{path.stem}.jpg"] = _jpeg(path)
    choices = {"eval/val_choices.json": (world / "gqa" / "val_choices.json").read_bytes(), "eval/eval.py": b"#\n"}
    return {"questions1.2.zip": questions, "images.zip": images, "eval.zip": choices}, counts


def _nlvr2(world: Path) -> tuple[Archives, dict[str, dict[str, int]]]:
    archives: Archives = {}
    counts = {}
    for split, official in SPLITS.items():
        lines = (world / "nlvr2" / f"{split}.json").read_text().splitlines()
        records, pictures = [], {}
        for line in lines:
            record = json.loads(line)
            of_world, number, pair, _ = record["identifier"].split("-")
            record["identifier"] = record["identifier"].replace(of_world, official, 1)
            folder = f"images/train/{number}" if official == "train" else official
            if official == "train":
                record["directory"] = int(number)
            for side in (0, 1):
                source = world / "nlvr2" / "images" / split / f"{of_world}-{number}-{pair}-img{side}.png"
                pictures[f"{folder}/{official}-{number}-{pair}-img{side}.png"] = source.read_bytes()
            records.append(json.dumps(record))
        archives[f"{official}.json"] = {f"{official}.json": "\n".join(records).encode() + b"\n"}
        archives[f"{official}_img.zip"] = pictures
        counts[official] = {"statements": len(records), "images_per_example": 2}
    return archives, counts


def _all(contents: Iterable[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    return [record for content in contents for record in content[key]]


def _has(members: Mapping[str, bytes], path: str) -> bool:
    return any(f"/{path}/" in f"/{name}/" for name in members)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _jpeg(path: Path) -> bytes:
    content = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(content, format="JPEG", quality=95)
    return content.getvalue()


def _zip(members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="http://localhost:8000")
    arguments = parser.parse_args()
    pack(arguments.world, arguments.folder, arguments.url)
