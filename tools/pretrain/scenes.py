"""Images of random scenes, labelled with the content of each cell of the grid."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vlrouting.progress_bar import progress_bar
from vlrouting.shapes.draw import draw
from vlrouting.shapes.scene import COLORS, SHAPES, SIZES, Scene, random_scene

CELLS = 9
NOTHING = -1
"""Label of an empty cell or slot."""


@dataclass(frozen=True)
class LabelledImages:
    """Images and their content.

    Attributes:
        pixels: (N, H, W, 3) uint8.
        cells: (N, CELLS, 3) int64: for each cell in reading order, the indices of colour, shape and size in COLORS,
            SHAPES and SIZES; NOTHING for an empty cell.
    """

    pixels: Tensor
    cells: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def draw_images(count: int, side: int, seed: str) -> LabelledImages:
    """Images of random scenes with all combinations of colour and shape, resized to `side` pixels as in timm."""
    random = Random(seed)
    pixels = np.empty((count, side, side, 3), dtype=np.uint8)
    cells = np.full((count, CELLS, 3), NOTHING, dtype=np.int64)
    with progress_bar("pictures", count, "pictures") as advance:
        for row in range(count):
            scene = random_scene(random, held_out=None)
            pixels[row] = np.asarray(draw(scene).resize((side, side), Image.Resampling.BICUBIC))
            _fill(cells[row], scene)
            advance(1)
    return LabelledImages(torch.from_numpy(pixels), torch.from_numpy(cells))


def _fill(cells: np.ndarray, scene: Scene) -> None:
    colors = list(COLORS)
    for thing in scene.things:
        cells[3 * thing.row + thing.column] = (
            colors.index(thing.color), SHAPES.index(thing.shape), SIZES.index(thing.size)
        )  # fmt: skip


def reading_order(cells: Tensor, most: int) -> Tensor:
    """The things in reading order: (N, CELLS, 3) -> (N, most, 4), with the index of the cell as last entry.

    NOTHING in the slots after the last thing.
    """
    empty = cells[..., :1] == NOTHING  # (N, CELLS, 1)
    number = torch.arange(CELLS).view(CELLS, 1).expand_as(empty)
    described = torch.cat([cells, number.masked_fill(empty, NOTHING)], dim=-1)  # (N, CELLS, 4)
    # Sort by cell, with empty cells at the end.
    order = (number + CELLS * empty).argsort(dim=1)[:, :most]  # (N, most, 1)
    return described.gather(1, order.expand(-1, -1, described.shape[-1]))
