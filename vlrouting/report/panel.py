"""Test images with what was asked, said and true."""

from __future__ import annotations

import random
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

COLUMNS = 4
RIGHT, WRONG = "#1a7f37", "#cf222e"


def answer_panel(records: Sequence[Mapping[str, Any]], count: int) -> Figure:
    """A figure of `count` test images with question, predicted and true answer; green where they agree.

    The same images for every variant of a sweep: the choice depends on nothing but the records' number.

    Args:
        records: lines of predictions.jsonl: image (path), question, prediction, references.
        count: how many to show.
    """
    chosen = random.Random(0).sample(list(records), min(count, len(records)))
    rows = -(-len(chosen) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 3.1 * max(rows, 1)), layout="constrained")
    axes = figure.subplots(max(rows, 1), COLUMNS, squeeze=False).flatten()
    for axis in axes:
        axis.axis("off")
    for axis, record in zip(axes, chosen, strict=False):
        with Image.open(record["image"]) as image:
            axis.imshow(image.convert("RGB"))
        truth = Counter(record["references"]).most_common(1)[0][0] if record["references"] else None
        right = truth is None or record["prediction"] == truth
        question = textwrap.fill(record["question"], 30)
        said = record["prediction"] if right else f"{record['prediction']} (true: {truth})"
        axis.set_title(f"{question}\n{said}", fontsize=9, color=RIGHT if right else WRONG)
    return figure
