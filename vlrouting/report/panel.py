"""A figure of test images with question, prediction and reference."""

from __future__ import annotations

import random
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from vlrouting.config.names import printable
from vlrouting.data.example import DataError
from vlrouting.data.images import load_image

COLUMNS = 4
CORRECT, WRONG, NEUTRAL = "#1a7f37", "#cf222e", "#333333"
_LINE = 32
_GAP = 4
"""Pixels between the images of one example."""


def panel(records: Sequence[Mapping[str, Any]], count: int) -> Figure:
    """A figure of `count` test images, of several datasets as many of each as can be.

    An example with a question shows the question and the predicted answer, green if correct, else red with the true
    answer. An example without a question shows the predicted caption and one reference in gray. The choice of images
    depends only on the number of records, so that every variant of a sweep shows the same images.

    Args:
        records: lines of predictions.jsonl: image or images (paths), question (if any), prediction, references.
        count: number of examples to show.
    """
    chosen = _chosen(records, count)
    rows = max(-(-len(chosen) // COLUMNS), 1)
    figure = Figure(figsize=(2.7 * COLUMNS, 3.3 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for axis in axes:
        axis.axis("off")
    for axis, record in zip(axes, chosen, strict=False):
        axis.imshow(_picture(record.get("images") or [record["image"]]))
        if "question" in record:
            _show_answer(axis, record)
        else:
            _show_caption(axis, record)
    return figure


def _chosen(records: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    of_dataset: dict[object, list[Mapping[str, Any]]] = {}
    for record in records:
        of_dataset.setdefault(record.get("dataset"), []).append(record)
    mixed = [random.Random(0).sample(of, min(count, len(of))) for of in of_dataset.values()]
    return [record for turn in zip_longest(*mixed) for record in turn if record is not None][:count]


def _picture(paths: Sequence[str]) -> Image.Image:
    """The image, or all images side by side; gray for one that is not there, as a text-only baseline needs none."""
    images = []
    for path in paths:
        try:
            images.append(load_image(Path(path)))
        except DataError:
            images.append(Image.new("RGB", (64, 64), "lightgray"))
    height = max(image.height for image in images)
    sheet = Image.new("RGB", (sum(image.width + _GAP for image in images) - _GAP, height), "white")
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + _GAP
    return sheet


def _show_answer(axis: Axes, record: Mapping[str, Any]) -> None:
    truth = Counter(record["references"]).most_common(1)[0][0] if record["references"] else None
    correct = truth is None or record["prediction"] == truth
    answer = record["prediction"] if correct else f"{record['prediction']} (true: {truth})"
    question = textwrap.fill(printable(record["question"]), _LINE)
    axis.set_title(f"{question}\n{printable(answer)}", fontsize=9, color=CORRECT if correct else WRONG)


def _show_caption(axis: Axes, record: Mapping[str, Any]) -> None:
    axis.set_title(textwrap.fill(printable(record["prediction"]) or "(nothing)", _LINE), fontsize=9, color="black")
    if record["references"]:
        reference = textwrap.fill(printable(record["references"][0]), _LINE + 6)
        axis.text(0.5, -0.03, reference, transform=axis.transAxes, ha="center", va="top", fontsize=7.5, color=NEUTRAL)
