"""Small archives, and a manifest of them."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PICTURES = {f"train2014/COCO_train2014_{n:012d}.jpg": random.Random(n).randbytes(3000 + n) for n in range(40)}
"""Members that hardly shrink."""
CAPTIONS = {"annotations/captions_train2014.json": b'{"images": [1], "annotations": []}' * 200}
OTHERS = {"annotations/instances_train2014.json": b'{"instances": []}' * 200}


def zip_bytes(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive as the official ones are, with folders of their own."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for folder in sorted({name.split("/")[0] for name in members if "/" in name}):
            archive.writestr(zipfile.ZipInfo(f"{folder}/"), b"")
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def source(url: str, content: bytes | None, provides: Mapping[str, list[str]], **others: Any) -> dict[str, Any]:
    """A manifest's entry, with size and checksum of the content."""
    figures = {} if content is None else {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {"url": url, "kind": "images", "provides": dict(provides), **figures, **others}


def write_manifest(path: Path, *sources: Mapping[str, Any], **others: Any) -> Path:
    """A manifest of COCO with these sources."""
    content = {
        "name": "small COCO",
        "dataset": "coco",
        "homepage": "http://127.0.0.1/",
        "licence": {"annotations": "CC BY 4.0", "images": "none"},
        "default": ["train2014"],
        "splits": {"train2014": {"images": len(PICTURES)}},
        "sources": [dict(each) for each in sources],
        **others,
    }
    path.write_text(yaml.safe_dump(content))
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    """Path -> content of all files, but those of the program's own folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".fetch" not in path.parts
    }
