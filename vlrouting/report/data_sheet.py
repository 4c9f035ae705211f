"""A sheet of examples with their images and texts, and below them what the data are like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from vlrouting.data.example import DataError
from vlrouting.data.images import load_image
from vlrouting.data.inspection.description import ShownExample, SplitDescription
from vlrouting.report.fonts import families, width_of, wrap
from vlrouting.report.plots.distributions import (
    UNITS,
    answer_labels,
    draw_answers,
    draw_lengths,
    with_answers,
    with_lengths,
)
from vlrouting.report.plots.style import INK, MUTED, PAPER, styled

WIDTH, MARGIN, GAP = 840.0, 18.0, 16.0
"""Points of the sheet's width, around everything, and between two examples."""
SHAPE = 0.75
"""Greatest height of an image's box over its width."""
MOST_CAPTIONS = 5
_BETWEEN = 4.0
"""Points between two images of an example."""
_BOX = "#f0f2f4"
_PLOT, _ROW, _LEGEND, _LABELS, _AXIS = 118.0, 12.0, 20.0, 34.0, 54.0
"""Points of a plot's height, of an answer, of the legend above, and of the labels below and beside a plot."""


@dataclass(frozen=True)
class _Style:
    """Size in points, weight and colour of a text; the points that it is indented by, and the mark before it."""

    size: float
    weight: str = "normal"
    color: str = INK
    indent: float = 0.0
    mark: str = ""

    @property
    def height(self) -> float:
        """Points from one line to the next."""
        return 1.4 * self.size


_TITLE, _QUESTION, _REFERENCE, _ID = _Style(12, "bold"), _Style(8.5, "bold"), _Style(8), _Style(6.5, color=MUTED)
_CAPTION = _Style(8, indent=9)


@dataclass(frozen=True)
class _Card:
    """An example that is ready to be drawn.

    Attributes:
        images: each with its width and height in points; None for one that cannot be opened.
        names: file names of the images.
        lines: text and style of each line.
    """

    images: list[tuple[np.ndarray | None, float, float]]
    names: list[str]
    lines: list[tuple[str, _Style]]

    @property
    def box_height(self) -> float:
        """Points of the tallest image."""
        return max((height for _, _, height in self.images), default=0.0)

    @property
    def height(self) -> float:
        """Points below the box."""
        return 6 + sum(style.height for _, style in self.lines)


def data_sheet(
    title: str, examples: Sequence[ShownExample], splits: Sequence[SplitDescription], dpi: float = 150
) -> Figure:
    """A figure of examples, and of the lengths and answers of their split.

    An image that cannot be opened is an empty box with its name. Nothing is cut: rows are as high as their texts.

    Args:
        title: above everything.
        examples: in their order.
        splits: what is drawn below; the first one as bars. Empty for none.
        dpi: pixels of an inch.
    """
    with styled():
        return _Sheet(title, examples, splits, dpi).figure


def pixels(figure: Figure) -> np.ndarray:
    """(height, width, 3) of a figure in 8 bits."""
    canvas = FigureCanvasAgg(figure)
    with styled():
        canvas.draw()  # type: ignore[no-untyped-call]
        return np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


class _Sheet:
    """Places everything from the top down, in points."""

    def __init__(
        self, title: str, examples: Sequence[ShownExample], splits: Sequence[SplitDescription], dpi: float
    ) -> None:
        inner = WIDTH - 2 * MARGIN
        columns = 3 if any(len(example.images) > 1 for example in examples) else 4
        width = (inner - GAP * (columns - 1)) / columns
        cards = [_card(example, width, dpi) for example in examples]
        rows = [cards[start : start + columns] for start in range(0, len(cards), columns)]
        heading = wrap(title, inner, _TITLE.size, _TITLE.weight)
        plots = _plots_height(splits)
        heights = [max(card.box_height for card in row) + max(card.height for card in row) + GAP for row in rows]
        self.height = 2 * MARGIN + len(heading) * _TITLE.height + 8 + sum(heights) + plots
        self.figure = Figure(figsize=(WIDTH / 72, self.height / 72), dpi=dpi, facecolor=PAPER)
        top = self._write([(line, _TITLE) for line in heading], MARGIN, MARGIN) + 8
        for row, height in zip(rows, heights, strict=True):
            box = max(card.box_height for card in row)
            for place, card in enumerate(row):
                self._draw(card, MARGIN + place * (width + GAP), top, width, box)
            top += height
        if plots:
            self._draw_plots(splits, top, inner)

    def _write(self, lines: Sequence[tuple[str, _Style]], left: float, top: float) -> float:
        """Lines of text; returns where the next one starts."""
        for text, style in lines:
            baseline = 1 - (top + 0.5 * (style.height + 0.73 * style.size)) / self.height
            look: dict[str, Any] = {"fontsize": style.size, "fontweight": style.weight, "color": style.color}
            self.figure.text((left + style.indent) / WIDTH, baseline, text, fontfamily=families(), **look)
            if style.mark:
                self.figure.text(left / WIDTH, baseline, style.mark, **look)
            top += style.height
        return top

    def _draw(self, card: _Card, left: float, top: float, width: float, box: float) -> None:
        """An example, its images in a box of this size."""
        self.figure.add_artist(self._rectangle(left, top, width, box))
        cell = (width - _BETWEEN * (len(card.images) - 1)) / max(len(card.images), 1)
        for place, ((pixels, wide, high), name) in enumerate(zip(card.images, card.names, strict=True)):
            start = left + place * (cell + _BETWEEN)
            if pixels is None:
                lines = [(line, _ID) for line in wrap(f"cannot be opened: {name}", cell - 8, _ID.size)]
                self._write(lines, start + 4, top + 4)
                continue
            scale = self.figure.dpi / 72
            x, y = start + (cell - wide) / 2, self.height - top - (box + high) / 2
            self.figure.figimage(pixels, round(x * scale), round(y * scale), zorder=1)
        self._write(card.lines, left, top + box + 6)

    def _rectangle(self, left: float, top: float, width: float, height: float) -> Rectangle:
        corner = (left / WIDTH, 1 - (top + height) / self.height)
        size = (width / WIDTH, height / self.height)
        return Rectangle(corner, *size, transform=self.figure.transFigure, color=_BOX, linewidth=0, zorder=0)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        rectangle = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        return self.figure.add_axes(rectangle)

    def _draw_plots(self, splits: Sequence[SplitDescription], top: float, inner: float) -> None:
        """Lengths on the left, one above the other, and answers on the right; without answers the lengths in a row."""
        units = [unit for unit in UNITS if with_lengths(splits, unit)]
        answered = with_answers(splits)
        half = (inner - GAP) / 2
        for place, unit in enumerate(units):
            beside = not answered and place == 1
            left = MARGIN + _AXIS + (half + GAP if beside else 0)
            below = 0.0 if beside or place == 0 else _LEGEND + _PLOT + _LABELS
            draw_lengths(self._axes(left, top + _LEGEND + below, half - _AXIS, _PLOT), splits, unit)
        if answered:
            labels = answer_labels(answered[0])
            names = 8 + max(width_of(label, 8.5) for label in labels)
            left = MARGIN + half + GAP + names
            draw_answers(self._axes(left, top + _LEGEND, half - names, _ROW * len(labels)), splits)


def _plots_height(splits: Sequence[SplitDescription]) -> float:
    units = [unit for unit in UNITS if with_lengths(splits, unit)]
    answered = with_answers(splits)
    lengths = (_LEGEND + _PLOT + _LABELS) * (len(units) if answered else min(len(units), 1))
    answers = _LEGEND + _ROW * len(answer_labels(answered[0])) + _LABELS if answered else 0.0
    return max(lengths, answers)


def _card(example: ShownExample, width: float, dpi: float) -> _Card:
    cell = (width - _BETWEEN * (len(example.images) - 1)) / max(len(example.images), 1)
    images = [_thumbnail(Path(path), cell, SHAPE * width, dpi) for path in example.images]
    lines = [(line, _QUESTION) for line in wrap(example.text, width, _QUESTION.size, _QUESTION.weight)]
    lines = [*(lines if example.text else []), *_references(example, width)]
    lines += [(line, _ID) for line in wrap(str(example.id), width, _ID.size)]
    return _Card(images, [Path(path).name for path in example.images], lines)


def _references(example: ShownExample, width: float) -> list[tuple[str, _Style]]:
    """Lines of the answers, or of each caption."""
    if example.text or not example.references:
        times = "\N{MULTIPLICATION SIGN}"
        named = [(text.strip() or "(empty)", count) for text, count in example.references]
        answers = [f"{text} ({count}{times})" if count > 1 else text for text, count in named]
        return [(line, _REFERENCE) for line in wrap(", ".join(answers) or "(no answer)", width, _REFERENCE.size)]
    lines = []
    for text, _ in example.references[:MOST_CAPTIONS]:
        first, *others = wrap(text, width - _CAPTION.indent, _CAPTION.size)
        lines += [(first, replace(_CAPTION, mark="\N{BULLET}")), *((line, _CAPTION) for line in others)]
    more = len(example.references) - MOST_CAPTIONS
    return [*lines, (f"and {more} more", _CAPTION)] if more > 0 else lines


def _thumbnail(path: Path, width: float, height: float, dpi: float) -> tuple[np.ndarray | None, float, float]:
    """Pixels of an image, as large as fits, its width and height in points; an empty box where it does not open."""
    try:
        image = load_image(path)
    except DataError:
        return None, width, min(height, 0.5 * width)
    scale = min(width / image.width, height / image.height)
    pixels = [max(1, round(scale * side * dpi / 72)) for side in image.size]
    small = image.resize((pixels[0], pixels[1]), Image.Resampling.LANCZOS)
    return np.asarray(small), pixels[0] * 72 / dpi, pixels[1] * 72 / dpi
