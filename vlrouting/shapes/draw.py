"""Draws a scene as an image of 64 x 64 pixels with anti-aliased edges."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlrouting.shapes.scene import COLORS, Scene, Thing

SIDE = 64
"""Width and height of an image in pixels."""
_CENTRES = (11, 32, 53)
"""Pixel coordinate of the centre of each row and column of cells."""
_RADIUS = {"small": 5.0, "large": 9.0}
_HALF = 14
"""Half the side, in pixels, of the square around a cell's centre that a shifted thing stays within."""
_MARGIN = 4
"""Pixels; more than the largest shift of a thing."""
_FINE = 8
"""Samples per pixel and axis; a pixel's coverage is their mean."""


def draw(scene: Scene) -> Image.Image:
    """The RGB image of a scene; equal scenes give equal bytes."""
    canvas = np.full((SIDE, SIDE, 3), float(scene.background))  # (rows, columns, RGB)
    for thing in scene.things:
        _paint(canvas, thing)
    return Image.fromarray(np.rint(canvas).astype(np.uint8))


def _paint(canvas: NDArray[np.float64], thing: Thing) -> None:
    coverage = _coverage(thing.shape, thing.size, thing.dx, thing.dy)
    top, left = _CENTRES[thing.row] - _HALF, _CENTRES[thing.column] - _HALF
    rows, columns = slice(max(top, 0), top + 2 * _HALF), slice(max(left, 0), left + 2 * _HALF)
    part = canvas[rows, columns]
    inside = coverage[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1], None]  # (rows, columns, 1)
    part += inside * (np.array(COLORS[thing.color]) - part)


@cache
def _coverage(shape: str, size: str, dx: float, dy: float) -> NDArray[np.float64]:
    """Fraction of every pixel around the cell's centre that the thing covers, (2 * _HALF, 2 * _HALF)."""
    left, top = (round((_MARGIN - shift) * _FINE) for shift in (dx, dy))
    side = 2 * _HALF
    samples = _samples(shape, size)[top : top + side * _FINE, left : left + side * _FINE]
    return np.asarray(samples.reshape(side, _FINE, side, _FINE).sum(axis=(1, 3)) / _FINE**2, dtype=np.float64)


@cache
def _samples(shape: str, size: str) -> NDArray[np.bool_]:
    """The samples around its centre that a thing covers, with a margin for its shift."""
    half = _HALF + _MARGIN
    line = ((np.arange(2 * half * _FINE) + 0.5) / _FINE - half) / _RADIUS[size]
    x, y = np.meshgrid(line, line)
    return x * x + y * y <= 0.9 if shape == "circle" else _within(_OUTLINES[shape], x, y)


def _within(corners: list[tuple[float, float]], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The points inside the polygon: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros(x.shape, dtype=np.bool_)
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y1 != y2:  # a horizontal edge crosses no ray
            inside ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


def _star() -> list[tuple[float, float]]:
    points = []
    for corner in range(10):
        angle, radius = math.pi * corner / 5, 1.12 if corner % 2 == 0 else 0.48
        points.append((round(radius * math.sin(angle), 4), round(0.06 - radius * math.cos(angle), 4)))
    return points


_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": [(0.0, -0.98), (1.04, 0.86), (-1.04, 0.86)],
    "star": _star(),
    "cross": [
        *[(-0.32, -0.98), (0.32, -0.98), (0.32, -0.32), (0.98, -0.32), (0.98, 0.32), (0.32, 0.32)],
        *[(0.32, 0.98), (-0.32, 0.98), (-0.32, 0.32), (-0.98, 0.32), (-0.98, -0.32), (-0.32, -0.32)],
    ],
}
"""Corners of the other shapes in units of the radius; y grows downwards."""
