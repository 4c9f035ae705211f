"""What all plots have in common: size, fonts, and colours that colour-blind readers can tell apart."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 5.2
"""Inches: a column of a paper, and legible on a phone."""
INK, MUTED, GRID, PAPER = "#1f2328", "#636c76", "#d0d7de", "#ffffff"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Of Okabe and Ito's palette (https://jfly.uni-koeln.de/color/). Every use of a colour has a shape of its own too."""
DPI = 200
"""Of PNG files."""
LABEL_WIDTH = 22
"""Characters of a line of a variant's name."""

_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "figure.dpi": DPI,
    "text.hinting": "none",  # so that a text is as wide in every format
    "text.parse_math": False,  # names of variants are not formulas
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "pdf.fonttype": 42,  # journals refuse type 3
    "svg.fonttype": "none",
}


@contextmanager
def styled() -> Iterator[None]:
    """The settings of the plots, for drawing and for writing."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a box stands there
        yield


def new_figure(height: float) -> tuple[Figure, Axes]:
    """A figure `height` inches high with one pair of axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def panels(count: int, height: float = 1.35) -> tuple[Figure, list[Axes]]:
    """A figure of `count` small panels that share their axes, each of that height in inches."""
    columns = 2 if count in (1, 2, 4) else 3
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 0.7 + height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for unused in grid[count:]:
        unused.set_visible(False)
    for index, axes in enumerate(grid[:count]):
        axes.grid(True)
        # The panels above an empty place need the labels that the missing panel would have.
        axes.tick_params(labelbottom=index + columns >= count)
    return figure, list(grid[:count])


def wrapped(label: str) -> str:
    """A variant's name on lines of `LABEL_WIDTH`, cut between its keys where it can be."""
    spaced = label.replace(",", ", ").replace(": ", ":\n", 1)
    return "\n".join(textwrap.fill(line, LABEL_WIDTH) for line in spaced.splitlines()).replace(", ", ",")


def row_labels(axes: Axes, labels: list[str]) -> None:
    """Name the rows of a plot, the first one on top."""
    axes.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)


def height_of_rows(labels: list[str]) -> float:
    """Inches of a plot with these rows."""
    lines = max(wrapped(label).count("\n") + 1 for label in labels)
    return 1.0 + len(labels) * max(0.36, 0.16 * lines + 0.08)
