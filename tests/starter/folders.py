"""Small folders of pictures with a table, as a user has them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image


def write_pictures(root: Path, names: Iterable[str]) -> None:
    """Tiny pictures, in the folders that their names give."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "gray").save(path)


def write_table(root: Path, header: Sequence[str], rows: Sequence[Sequence[str]], name: str = "data.csv") -> None:
    """A CSV file, and a picture for each name in the column `image` or `images`."""
    column = next(index for index, each in enumerate(header) if each in ("image", "images"))
    write_pictures(root, {image for row in rows for image in row[column].split("|")})
    with (root / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_questions(root: Path, count: int = 40, answers: Sequence[str] = ("red", "green", "blue")) -> None:
    """So many questions, each about another picture; the answers are repeated in turn."""
    rows = [[f"{n}.png", "What color is it?", answers[n % len(answers)]] for n in range(count)]
    write_table(root, ["image", "question", "answer"], rows)


def write_captions(root: Path, count: int = 40) -> None:
    """So many pictures with two captions each."""
    rows = [[f"{n}.png", f"a picture|picture number {n} of {count}"] for n in range(count)]
    write_table(root, ["image", "captions"], rows)
