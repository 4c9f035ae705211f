"""Tables of a user, in miniature."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from vlrouting.config import DataConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import Example

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}
Row = Mapping[str, Any]


def draw(root: Path, names: Sequence[str]) -> None:
    """Pictures of 8 x 8 pixels."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), list(COLORS.values())[number % len(COLORS)]).save(path)


def touch(root: Path, names: Sequence[str]) -> None:
    """Files that nobody opens."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def questions(count: int, per_image: int = 2) -> list[dict[str, str]]:
    """Rows with an image, a question and an answer."""
    colors = list(COLORS)
    return [
        {"image": f"{image}.png", "question": f"what color is it {number} ?", "answer": colors[image % 3]}
        for image in range(count)
        for number in range(per_image)
    ]


def write_csv(path: Path, rows: Sequence[Row], delimiter: str = ",") -> Path:
    """A table of text with the first row's columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[Row]) -> Path:
    """A JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def own(root: Path, **fields: Any) -> DataConfig:
    """The section `data`."""
    return DataConfig(name="jsonl", root=str(root), **fields)


def read(root: Path, **fields: Any) -> dict[str, list[Example]]:
    """All splits of a folder."""
    return {name: list(examples) for name, examples in read_splits(own(root, **fields)).items()}


def names(examples: Sequence[Example], root: Path) -> set[str]:
    """The images of examples, below the root."""
    return {str(path.relative_to(root)) for example in examples for path in example.images}
